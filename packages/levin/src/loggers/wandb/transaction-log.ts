import { statSync } from "node:fs";
import { crc32 } from "node:zlib";
import { LogFile } from "../log-file.js";

/** What a file begins with: a name, a magic number, a version. */
const fileHeader = Uint8Array.of(0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0);
const BLOCK_SIZE = 32_768;
const HEADER_SIZE = 7;
/** The types of the pieces of a record. */
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/**
 * W&B's log of a run: records in the form of LevelDB's log, cut into pieces that do not cross the borders of blocks.
 *
 * @see https://github.com/google/leveldb/blob/main/doc/log_format.md
 */
export class TransactionLog {
  readonly #file: LogFile;
  #position: number;

  constructor(path: string) {
    this.#file = new LogFile(path);
    this.#position = statSync(path).size;
    if (this.#position === 0) this.#write(fileHeader);
  }

  append(record: Uint8Array): void {
    let at = 0;
    do {
      let room = BLOCK_SIZE - (this.#position % BLOCK_SIZE);
      if (room < HEADER_SIZE) {
        this.#write(new Uint8Array(room));
        room = BLOCK_SIZE;
      }
      const end = Math.min(record.length, at + room - HEADER_SIZE);
      const isFirst = at === 0;
      const isLast = end === record.length;
      this.#write(
        piece(record.subarray(at, end), isFirst ? (isLast ? FULL : FIRST) : isLast ? LAST : MIDDLE),
      );
      at = end;
    } while (at < record.length);
  }

  /** Writes at once. */
  flush(): void {
    this.#file.flush();
  }

  close(): void {
    this.#file.close();
  }

  #write(bytes: Uint8Array): void {
    this.#file.append(bytes);
    this.#position += bytes.length;
  }
}

function piece(data: Uint8Array, type: number): Uint8Array {
  const bytes = Buffer.alloc(HEADER_SIZE + data.length);
  bytes.set(data, HEADER_SIZE);
  bytes.writeUInt16LE(data.length, 4);
  bytes.writeUInt8(type, 6);
  bytes.writeUInt32LE(crc32(bytes.subarray(6)), 0);
  return bytes;
}
