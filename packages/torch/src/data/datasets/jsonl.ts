import { closeSync, openSync, readSync } from "node:fs";
import { LevinError } from "../../errors.js";
import type { Dataset } from "../dataset.js";
import { forWorkers } from "../workers/portable.js";

/**
 * The values of a file with one JSON value a line. Only the places of the lines are in memory: a line is read when its sample is asked for.
 *
 * ```ts
 * const dialogues = new data.JSONLDataset<{ prompt: string; answer: string }>("dialogues.jsonl");
 * ```
 */
export class JSONLDataset<T = unknown> implements Dataset<T> {
  readonly path: string | URL;
  readonly length: number;
  /** Where each line begins and ends, one pair after the other; in memory that workers share. */
  readonly places: Float64Array;

  /** @throws LevinError where the file cannot be read */
  constructor(path: string | URL) {
    this.path = path;
    const places = withFile(path, findLines);
    this.places = new Float64Array(new SharedArrayBuffer(places.length * 8));
    this.places.set(places);
    this.length = places.length / 2;
  }

  /** @throws LevinError where the line is not JSON */
  getItem(index: number): T {
    const [from, to] = [this.places[2 * index] as number, this.places[2 * index + 1] as number];
    const line = Buffer.alloc(to - from);
    withFile(this.path, (file) => readSync(file, line, 0, line.length, from));
    try {
      return JSON.parse(line.toString("utf8")) as T;
    } catch (error) {
      throw new LevinError(
        `Sample ${index} of ${this.path} (at byte ${from}) is not JSON: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }
}

function withFile<R>(path: string | URL, work: (file: number) => R): R {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new LevinError(`${path} cannot be opened: ${(error as Error).message}`, { cause: error });
  }
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

/** The beginnings and ends of the lines that are not blank. */
function findLines(file: number): number[] {
  const places: number[] = [];
  const chunk = Buffer.alloc(1 << 20);
  let begin = 0;
  let blank = true;
  let at = 0;
  const end = () => {
    if (!blank) places.push(begin, at);
    begin = at + 1;
    blank = true;
  };
  for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk)) {
    for (let i = 0; i < count; i++, at++) {
      const byte = chunk[i] as number;
      if (byte === 0x0a) end();
      else if (byte > 0x20) blank = false;
    }
  }
  end();
  return places;
}

forWorkers(import.meta.url, { JSONLDataset });
