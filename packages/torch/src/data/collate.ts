import { inspect } from "node:util";
import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import { Tensor } from "../tensor.js";
import { dtypeOf, type TypedArray } from "../values.js";
import { forWorkers } from "./workers/portable.js";

/** What collating makes of samples of a type. */
export type Collated<T> = unknown extends T
  ? unknown
  : T extends Tensor | number | bigint | boolean | TypedArray
    ? Tensor
    : T extends string
      ? string[]
      : T extends Map<infer K, infer V>
        ? Map<K, Collated<V>>
        : T extends readonly unknown[] | object
          ? { -readonly [K in keyof T]: Collated<T[K]> }
          : never;

/** Makes a batch of samples. */
export type Collate<Sample = unknown, Batch = unknown> = (samples: Sample[]) => Batch;

/**
 * Puts samples together to a batch:
 *
 * - tensors and typed arrays are stacked, with a first dimension of the number of samples;
 * - numbers become a tensor: `int64` where all of them are whole, as class labels are, else `float64`;
 * - bigints become an `int64` tensor, booleans a `bool` tensor;
 * - strings become an array of them;
 * - arrays, object literals and maps are put together part by part.
 *
 * A loader decides the type of numbers with its first batch (see {@link keepNumberTypes}).
 *
 * @throws ArgumentError where the samples differ in structure, or hold something else
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.default_collate
 */
export function defaultCollate<T>(samples: readonly T[]): Collated<T> {
  return makeDefaultCollate(keepNumberTypes([]))(samples) as Collated<T>;
}

/**
 * Makes a tensor of numbers.
 *
 * @param place which of the places in a sample that hold numbers, counted from 0
 * @param path the place's name for errors
 */
export type NumberCollate = (numbers: readonly number[], place: number, path: string) => unknown;

/** Whether the numbers at one place in the samples are classes and counts, or quantities. */
export type NumberType = "int64" | "float64";

/**
 * Makes tensors of numbers such that the type never changes between batches: JavaScript doesn't tell 1 from 1.0, so the first batch decides
 * for each place in the samples whether its numbers are whole. A fraction where there were only whole numbers before is an error that says so,
 * rather than another type now and then.
 *
 * @param types what was decided for each place; filled in
 */
export function keepNumberTypes(types: NumberType[]): NumberCollate {
  return (numbers, place, path) => {
    const whole = numbers.every(Number.isSafeInteger);
    types[place] ??= whole ? "int64" : "float64";
    if (types[place] === "int64" && !whole) {
      const value = numbers.find((number) => !Number.isSafeInteger(number));
      throw new ArgumentError(
        `collate: the numbers at ${path} of the samples were whole in the first batch, so they became int64, but now there is ${value}. ` +
          "Return torch.tensor(value) from the dataset to have floating-point numbers in all batches.",
      );
    }
    return ops.tensor(numbers, { dtype: types[place] });
  };
}

/** {@link defaultCollate} for the batches of a loader. */
export function makeDefaultCollate(collateNumbers: NumberCollate): (samples: readonly unknown[]) => unknown {
  let place = 0;

  const visit = (samples: readonly unknown[], path: string): unknown => {
    const first = samples[0];
    if (first instanceof Tensor) {
      requireAll(samples, (sample) => sample instanceof Tensor, "a tensor", path);
      return stackTensors(samples as Tensor[], path);
    }
    switch (typeof first) {
      case "number":
        requireAll(samples, (sample) => typeof sample === "number", "a number", path);
        return collateNumbers(samples as number[], place++, path);
      case "bigint":
        requireAll(samples, (sample) => typeof sample === "bigint", "a bigint", path);
        return ops.tensor(samples as bigint[], { dtype: "int64" });
      case "boolean":
        requireAll(samples, (sample) => typeof sample === "boolean", "a boolean", path);
        return ops.tensor(samples as boolean[], { dtype: "bool" });
      case "string":
        return [...samples];
    }
    if (Array.isArray(first)) {
      const { length } = first;
      requireAll(
        samples,
        (sample) => Array.isArray(sample) && sample.length === length,
        `an array of length ${length}`,
        path,
      );
      const batch: unknown[] = [];
      for (let i = 0; i < length; i++) {
        const parts = (samples as unknown[][]).map((sample) => sample[i]);
        batch.push(visit(parts, `${path}[${i}]`));
      }
      return batch;
    }
    if (ArrayBuffer.isView(first) && !(first instanceof DataView)) {
      return stackTypedArrays(samples, path);
    }
    if (first instanceof Map) {
      requireAll(samples, (sample) => sample instanceof Map, "a Map", path);
      const maps = samples as Map<unknown, unknown>[];
      return new Map(
        [...first.keys()].map((key) => [
          key,
          visit(
            maps.map((sample) => sample.get(key)),
            `${path}.get(${inspect(key)})`,
          ),
        ]),
      );
    }
    if (isPlainObject(first)) {
      const batch: Record<string, unknown> = {};
      for (const key of Object.keys(first)) {
        requireAll(
          samples,
          (sample) => isPlainObject(sample) && Object.hasOwn(sample, key),
          `an object with "${key}"`,
          path,
        );
        const parts = (samples as Record<string, unknown>[]).map((sample) => sample[key]);
        batch[key] = visit(parts, `${path}.${key}`);
      }
      return batch;
    }
    throw new ArgumentError(
      `collate: ${path} of a sample is ${describe(first)}; tensors, typed arrays, numbers, bigints, booleans, strings, and arrays, ` +
        "object literals and maps of these can be put together. Give the loader a `collate` function for anything else.",
    );
  };

  return (samples) => {
    place = 0;
    if (samples.length === 0) throw new ArgumentError("collate: there are no samples to put together.");
    return visit(samples, "sample");
  };
}

/** What a sample becomes where a loader makes no batches: typed arrays become tensors, all else stays. */
export function defaultConvert(sample: unknown): unknown {
  if (sample instanceof Tensor) return sample;
  if (ArrayBuffer.isView(sample) && !(sample instanceof DataView)) return ops.fromTypedArray(sample);
  if (Array.isArray(sample)) return sample.map(defaultConvert);
  if (sample instanceof Map) return new Map([...sample].map(([key, value]) => [key, defaultConvert(value)]));
  if (isPlainObject(sample)) {
    return Object.fromEntries(Object.entries(sample).map(([key, value]) => [key, defaultConvert(value)]));
  }
  return sample;
}

function stackTensors(tensors: Tensor[], path: string): Tensor {
  const { layout } = tensors[0]!;
  if (layout !== "strided") {
    throw new ArgumentError(
      `collate: the tensors at ${path} of the samples are sparse (${layout}), which cannot be stacked. ` +
        "Return them dense, or give the loader a `collate` function.",
    );
  }
  try {
    return ops.stack(tensors, 0);
  } catch (error) {
    const shapes = [...new Set(tensors.map((tensor) => `[${tensor.shape.join(", ")}]`))];
    if (shapes.length === 1) throw error;
    throw new ArgumentError(
      `collate: the tensors at ${path} of the samples have different shapes: ${shapes.join(", ")}. ` +
        "Pad or crop them in the dataset, or give the loader a `collate` function.",
      { cause: error },
    );
  }
}

function stackTypedArrays(samples: readonly unknown[], path: string): Tensor {
  const first = samples[0] as TypedArray;
  const { length } = first;
  requireAll(
    samples,
    (sample) =>
      ArrayBuffer.isView(sample) &&
      sample.constructor === first.constructor &&
      (sample as TypedArray).length === length,
    `a ${first.constructor.name} of length ${length}`,
    path,
  );
  const size = first.byteLength;
  const bytes = new Uint8Array(samples.length * size);
  for (const [i, sample] of (samples as TypedArray[]).entries()) {
    bytes.set(new Uint8Array(sample.buffer, sample.byteOffset, size), i * size);
  }
  return ops.fromTypedArray(bytes, [samples.length, length], { dtype: dtypeOf(first) });
}

function requireAll(
  samples: readonly unknown[],
  fits: (sample: unknown) => boolean,
  wanted: string,
  path: string,
): void {
  for (let i = 1; i < samples.length; i++) {
    if (fits(samples[i])) continue;
    throw new ArgumentError(
      `collate: ${path} is ${wanted} in the first sample of a batch, but ${describe(samples[i])} in sample ${i}.`,
    );
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (typeof value !== "object" || value === null) return inspect(value);
  return isPlainObject(value)
    ? `an object with the keys ${Object.keys(value).join(", ")}`
    : `a ${value.constructor?.name ?? "object"}`;
}

forWorkers(import.meta.url, { defaultCollate, defaultConvert });
