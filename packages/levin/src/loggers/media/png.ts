import { crc32, deflateSync } from "node:zlib";
import { ArgumentError } from "@levin/torch";

/** Pixels of 1 (grey), 3 (RGB) or 4 (RGBA) bytes each, row by row. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** The numbers of the colour types by the number of channels. */
const colourTypes: Readonly<Record<number, number>> = { 1: 0, 3: 2, 4: 6 };
const bitsPerChannel = 8;

/**
 * Encodes an image as PNG.
 *
 * @see https://www.w3.org/TR/png/
 */
export function encodePng({ height, width, channels, data }: Pixels): Uint8Array {
  const colourType = colourTypes[channels];
  if (colourType === undefined)
    throw new ArgumentError(`An image has 1, 3 or 4 channels (grey, RGB, RGBA), not ${channels}.`);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, bitsPerChannel);
  header.setUint8(9, colourType);
  // before each row goes the number of its filter: 0 for none
  const rows = new Uint8Array(height * (width * channels + 1));
  for (let y = 0; y < height; y++) {
    rows.set(data.subarray(y * width * channels, (y + 1) * width * channels), y * (width * channels + 1) + 1);
  }
  return Buffer.concat([
    signature,
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(data.length + 12);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
