import { readFileSync } from "node:fs";
import { getDefaultDtype } from "../../dtype.js";
import { ArgumentError, LevinError } from "../../errors.js";
import { onDemand } from "../../on-demand.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { type Dataset, indexTensor } from "../dataset.js";
import { forWorkers } from "../workers/portable.js";

const csv = onDemand<typeof import("csv-parse/sync")>("csv-parse/sync");

/** What {@link CSVDataset} may be told. */
export interface CSVOptions {
  /** The first line names the columns; or their names, where there is no such line. Default: true. */
  header?: boolean | readonly string[];
  /** What separates values. Default: a comma. */
  delimiter?: string;
  /** Reads these columns only, in this order. Default: all. */
  columns?: readonly string[];
}

/** A row: numbers for columns that hold nothing else, else strings. */
export type CSVRow = Record<string, number | string>;

/**
 * The rows of a CSV file, in memory. A column of numbers only is a tensor, `int64` where all of them are whole, else of the default
 * type, with NaN where nothing is given; any other column is strings.
 *
 * ```ts
 * const table = new data.CSVDataset("houses.csv");
 * const houses = new data.TensorDataset(table.tensor(["rooms", "area"]), table.tensor(["price"]));
 * ```
 */
export class CSVDataset implements Dataset<CSVRow> {
  readonly columns: readonly string[];
  readonly length: number;
  /** The values of each column. */
  readonly values: Readonly<Record<string, Tensor | readonly string[]>>;

  /** @throws LevinError where the file cannot be read or its lines differ in length, ArgumentError where a column is not there */
  constructor(path: string | URL, options: CSVOptions = {}) {
    const { header = true, delimiter = "," } = options;
    const lines = readLines(path, delimiter);
    const names =
      header === true ? lines.shift() : header === false ? lines[0]?.map((_, i) => String(i)) : header;
    if (names === undefined) throw new LevinError(`${path} is empty.`);
    if (lines.length > 0 && lines[0]?.length !== names.length) {
      throw new ArgumentError(
        `CSVDataset: header names ${names.length} columns, but ${path} has ${lines[0]?.length}.`,
      );
    }
    this.columns = [...(options.columns ?? names)];
    this.length = lines.length;
    this.values = Object.fromEntries(
      this.columns.map((name) => {
        const at = names.indexOf(name);
        if (at < 0)
          throw new ArgumentError(
            `CSVDataset: there is no column "${name}" in ${path}; there are ${names.join(", ")}.`,
          );
        return [name, columnOf(lines.map((line) => line[at] as string))];
      }),
    );
  }

  getItem(index: number): CSVRow {
    return Object.fromEntries(
      Object.entries(this.values).map(([name, column]) => [
        name,
        Array.isArray(column)
          ? (column.at(index) as string)
          : ((column as Tensor).select(0, index).item() as number),
      ]),
    );
  }

  /** A batch: a tensor (n) for each column of numbers, an array of strings for each other one. */
  getItems(indices: readonly number[]): Record<string, Tensor | string[]> {
    const rows = indexTensor(indices, this.length);
    return Object.fromEntries(
      Object.entries(this.values).map(([name, column]) => [
        name,
        Array.isArray(column)
          ? indices.map((i) => column.at(i) as string)
          : (column as Tensor).indexSelect(0, rows),
      ]),
    );
  }

  /**
   * Columns of numbers side by side, in the default type: (length, number of columns).
   *
   * @throws ArgumentError where a column holds strings or is not there
   */
  tensor(columns: readonly string[] = this.columns): Tensor {
    const numbers = columns.map((name) => {
      const column = this.values[name];
      if (column === undefined || Array.isArray(column)) {
        throw new ArgumentError(`CSVDataset: there is no column of numbers "${name}".`);
      }
      return (column as Tensor).to(getDefaultDtype());
    });
    return ops.stack(numbers, 1);
  }
}

function readLines(path: string | URL, delimiter: string): string[][] {
  try {
    return csv().parse(readFileSync(path), { delimiter, bom: true, skipEmptyLines: true, trim: true });
  } catch (error) {
    throw new LevinError(`${path} cannot be read as CSV: ${(error as Error).message}`, { cause: error });
  }
}

/** Numbers where there is nothing else, strings otherwise. */
function columnOf(texts: string[]): Tensor | string[] {
  if (texts.every(isMissing) || !texts.every((text) => isMissing(text) || decimal.test(text))) return texts;
  const numbers = texts.map((text) => (isMissing(text) ? Number.NaN : Number(text)));
  return ops.tensor(numbers, { dtype: numbers.every(Number.isSafeInteger) ? "int64" : getDefaultDtype() });
}

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const isMissing = (text: string): boolean => text === "" || /^nan$/i.test(text);

forWorkers(import.meta.url, { CSVDataset });
