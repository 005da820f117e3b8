import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import crc32c from "crc-32/crc32c.js";
import { FlushTimer } from "./flush.js";

const { Bit64, Bit32, LengthDelimited, Varint } = WireType;

/** Values of a tensor sorted into buckets, as TensorBoard keeps them. */
export interface Histogram {
  min: number;
  max: number;
  num: number;
  sum: number;
  sumSquares: number;
  /** The right ends of the buckets. */
  bucketLimits: number[];
  /** How many values each bucket holds. */
  buckets: number[];
}

/** A part of a summary, written by its fields' numbers in TensorBoard's summary.proto. */
export type SummaryValue = (writer: BinaryWriter) => void;

/** A single number; beyond the range of 32 bits it becomes infinite. */
export function scalarValue(tag: string, value: number): SummaryValue {
  return (writer) => writer.tag(1, LengthDelimited).string(tag).tag(2, Bit32).float(Math.fround(value));
}

/** A histogram. */
export function histogramValue(tag: string, histogram: Histogram): SummaryValue {
  return (writer) => {
    const { min, max, num, sum, sumSquares } = histogram;
    writer.tag(1, LengthDelimited).string(tag).tag(5, LengthDelimited).fork();
    for (const [i, value] of [min, max, num, sum, sumSquares].entries())
      writer.tag(i + 1, Bit64).double(value);
    for (const [i, values] of [histogram.bucketLimits, histogram.buckets].entries()) {
      writer.tag(i + 6, LengthDelimited).fork();
      for (const value of values) writer.double(value);
      writer.join();
    }
    writer.join();
  };
}

/** Data for one of TensorBoard's plugins. */
export function pluginValue(tag: string, plugin: string, content: Uint8Array): SummaryValue {
  return (writer) => {
    writer.tag(1, LengthDelimited).string(tag).tag(9, LengthDelimited).fork();
    writer.tag(1, LengthDelimited).fork();
    writer.tag(1, LengthDelimited).string(plugin).tag(2, LengthDelimited).bytes(content);
    writer.join().join();
  };
}

/** The number of strings among the types of a TensorProto. */
const stringType = 7;

/** A text, for the plugin that shows it: a tensor with one string. */
export function textValue(tag: string, text: string): SummaryValue {
  const metadata = pluginValue(`${tag}/text_summary`, "text", new Uint8Array());
  return (writer) => {
    metadata(writer);
    writer.tag(8, LengthDelimited).fork().tag(1, Varint).int32(stringType);
    writer
      .tag(2, LengthDelimited)
      .fork()
      .tag(2, LengthDelimited)
      .fork()
      .tag(1, Varint)
      .int64(1)
      .join()
      .join();
    writer.tag(8, LengthDelimited).string(text);
    writer.join();
  };
}

let filesOfThisProcess = 0;

/** A file of events that TensorBoard reads. It is buffered: see {@link FlushTimer}. */
export class EventFile {
  readonly timer = new FlushTimer(() => this.#write());
  readonly #file: number;
  #records: Uint8Array[] = [];

  /** @param folder is made where it isn't there */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    const seconds = Math.floor(Date.now() / 1000);
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${filesOfThisProcess++}`;
    this.#file = openSync(join(folder, name), "ax");
    this.#addEvent((writer) => writer.tag(3, LengthDelimited).string("brain.Event:2"));
  }

  /** Adds an event with values. */
  add(values: readonly SummaryValue[], step = 0): void {
    this.#addEvent((writer) => {
      if (step !== 0) writer.tag(2, Varint).int64(step);
      writer.tag(5, LengthDelimited).fork();
      for (const value of values) {
        writer.tag(1, LengthDelimited).fork();
        value(writer);
        writer.join();
      }
      writer.join();
    });
  }

  /** Writes what is left and closes the file. */
  close(): void {
    try {
      this.timer.close();
    } finally {
      closeSync(this.#file);
    }
  }

  #addEvent(write: (writer: BinaryWriter) => void): void {
    const writer = new BinaryWriter();
    writer.tag(1, Bit64).double(Date.now() / 1000);
    write(writer);
    this.#records.push(record(writer.finish()));
  }

  #write(): void {
    if (this.#records.length === 0) return;
    const bytes = Buffer.concat(this.#records);
    this.#records = [];
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }
}

/** The length, its checksum, the data, its checksum. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length, true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedChecksum(data), true);
  return bytes;
}

/** Rotated and shifted, as a checksum of data that contains checksums is weak. */
function maskedChecksum(data: Uint8Array): number {
  const crc = crc32c.buf(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
