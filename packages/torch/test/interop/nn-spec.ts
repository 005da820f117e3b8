import type { DType } from "@levin/torch";

/** A module by name, with its arguments: `[name, positional ones, options]`. */
export type ModuleSpec = [name: string, args: unknown[], options: Record<string, unknown>];

/** A tensor that both sides make from the same random numbers; a shape alone is normal numbers. */
export type TensorSpec =
  | number[]
  | { normal: number[]; dtype?: DType }
  | { uniform: number[]; dtype?: DType }
  | { integers: number[]; high: number; low?: number }
  | { below: number[]; limit: number }
  | { data: number[] | number[][]; dtype?: DType };

/** A module, what it is called with, and how. */
export interface Case {
  module: ModuleSpec;
  inputs: unknown[];
  options?: Record<string, unknown>;
  mode?: "train" | "eval";
  noGrad?: boolean;
  seed?: number;
  rtol?: number;
  atol?: number;
  /** The first input is packed with these lengths. */
  pack?: { lengths: number[]; batchFirst?: boolean; enforceSorted?: boolean };
  /** Both sides throw. */
  refused?: boolean;
}

/** A function of nn.functional and what it is called with. */
export interface Call {
  function: string;
  inputs: unknown[];
  options?: Record<string, unknown>;
  noGrad?: boolean;
  seed?: number;
  rtol?: number;
  atol?: number;
  /** Both sides throw. */
  refused?: boolean;
}
