import { hostname } from "node:os";
import { join } from "node:path";
import crc32c from "crc-32/crc32c.js";
import { LogFile } from "../log-file.js";
import { encode, type Fields } from "../protobuf.js";

/** A value of a summary, written by its fields' numbers in TensorBoard's summary.proto. */
export type SummaryValue = Fields;

/** The number of the status "started" in a session log. */
const started = 1;

let filesOfThisProcess = 0;

/** Options of {@link EventFile}. */
export interface EventFileOptions {
  /** The end of the file's name. Default: none. */
  filenameSuffix?: string;
  /** TensorBoard hides what earlier files of the folder hold from this step on. Default: nothing. */
  purgeStep?: number;
}

/** A file of events that TensorBoard reads. Its records are written in the background: see {@link LogFile}. */
export class EventFile {
  readonly #file: LogFile;

  /** @param folder is made where it isn't there */
  constructor(folder: string, options: EventFileOptions = {}) {
    const { filenameSuffix = "", purgeStep } = options;
    const seconds = Math.floor(Date.now() / 1000);
    const number = filesOfThisProcess++;
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${number}${filenameSuffix}`;
    this.#file = new LogFile(join(folder, name));
    this.#addEvent((event) => event.string(3, "brain.Event:2"));
    if (purgeStep === undefined) return;
    this.#addEvent((event) => event.string(3, "brain.Event:2"), { step: purgeStep });
    this.#addEvent((event) => event.message(7, (log) => log.int(1, started)), { step: purgeStep });
  }

  /** Adds an event with values. */
  add(values: readonly SummaryValue[], step?: number, walltime?: number): void {
    const summary: Fields = (message) => {
      for (const value of values) message.message(1, value);
    };
    this.#addEvent((event) => event.message(5, summary), { step, walltime });
  }

  /** Adds a graph, and that it was not measured. */
  addGraph(graph: Uint8Array): void {
    this.#addEvent((event) => event.bytes(4, graph));
    const metadata = encode((run) =>
      run.message(1, (stats) => stats.message(1, (device) => device.string(1, "/device:CPU:0"))),
    );
    this.#addEvent((event) => event.message(8, (tagged) => tagged.string(1, "step1").bytes(2, metadata)));
  }

  flush(): void {
    this.#file.flush();
  }

  /** Writes what is left and closes the file. */
  close(): void {
    this.#file.close();
  }

  #addEvent(fields: Fields, { step = 0, walltime }: { step?: number; walltime?: number } = {}): void {
    const event = encode((message) => {
      message.double(1, walltime ?? Date.now() / 1000);
      if (step !== 0) message.int(2, step);
      fields(message);
    });
    this.#file.append(record(event));
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
