import type { DType } from "../dtype.js";
import type { MappingType } from "./python.js";

const nothing: readonly never[] = [];

// What a pickle describes before it becomes values of JavaScript. Tuples, numbers, texts and bytes stand for themselves.

/** A name in a Python module. */
export class GlobalNode {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

// A file may hold very many lists and dictionaries of one or no element: arrays that have exactly what they need, and no Maps, keep
// these small.

/** A list. */
export class ListNode {
  items: readonly unknown[] = nothing;

  /** Adds items; the array is given away. */
  add(items: unknown[]): void {
    if (this.items.length === 0) this.items = items;
    else for (const item of items) (this.items as unknown[]).push(item);
  }
}

/** A set or frozenset. */
export class SetNode extends ListNode {}

/** A dictionary of any kind. */
export class DictNode {
  /** A key, its value, the next key, ... A key that is there twice has its last value. */
  pairs: readonly unknown[] = nothing;
  attributes: DictNode | undefined;

  /** @param type where it is more than a `dict` */
  constructor(readonly type?: MappingType) {}

  /** Adds keys and values; the array is given away. */
  add(pairs: unknown[]): void {
    if (this.pairs.length === 0) this.pairs = pairs;
    else for (const part of pairs) (this.pairs as unknown[]).push(part);
  }

  get(key: unknown): unknown {
    const at = this.pairs.findLastIndex((part, i) => i % 2 === 0 && part === key);
    return at === -1 ? undefined : this.pairs[at + 1];
  }

  keys(): unknown[] {
    return this.pairs.filter((_, i) => i % 2 === 0);
  }
}

/** Bytes that can be changed in Python. */
export class BytearrayNode {
  constructor(readonly bytes: Uint8Array) {}
}

/** The call of something that levin does not know. */
export class ObjectNode {
  state: unknown;
  readonly items = new ListNode();
  readonly entries = new DictNode();

  constructor(
    readonly module: string,
    readonly name: string,
    readonly args: unknown[],
    readonly kwargs: DictNode | undefined,
  ) {}
}

/** The memory of tensors: bytes somewhere in the file. */
export interface StorageNode {
  readonly key: string;
  /** How many bytes. */
  readonly size: number;
  /** The device it was saved from, as PyTorch names it. */
  readonly location: string;
}

/** A storage as one place in a pickle names it: with a type, and perhaps only a part of it. */
export class StorageView {
  constructor(
    readonly storage: StorageNode,
    /** The type of its elements, null where it has none. */
    readonly dtype: DType | null,
    /** Where the part begins, in bytes. */
    readonly start: number,
    /** How many bytes it has. */
    readonly size: number,
  ) {}
}

/** A tensor over a storage; offset and stride are in elements. */
export class TensorNode {
  attributes: DictNode | undefined;

  constructor(
    readonly storage: StorageView,
    readonly dtype: DType,
    readonly offset: number,
    readonly shape: number[],
    readonly stride: number[],
    readonly requiresGrad: boolean,
    readonly conj: boolean,
    readonly neg: boolean,
  ) {}
}

/** A tensor without memory. */
export class MetaTensorNode {
  attributes: DictNode | undefined;

  constructor(
    readonly dtype: DType,
    readonly shape: number[],
    readonly stride: number[],
    readonly requiresGrad: boolean,
  ) {}
}

/** The layouts that keep only the elements that are not zero. */
export type SparseLayout = "sparse_coo" | "sparse_csr" | "sparse_csc" | "sparse_bsr" | "sparse_bsc";

/** A tensor of which only the elements that are not zero are stored. */
export class SparseNode {
  attributes: DictNode | undefined;

  constructor(
    readonly layout: SparseLayout,
    /** One for `sparse_coo`; for the others the compressed ones, then the plain ones. */
    readonly indices: readonly TensorNode[],
    readonly values: TensorNode,
    readonly shape: number[],
    readonly coalesced: boolean,
  ) {}
}

/** Integers that stand for other numbers. */
export class QuantizedNode {
  attributes: DictNode | undefined;

  constructor(
    readonly values: TensorNode,
    readonly quantizer:
      | { readonly scale: number; readonly zeroPoint: number }
      | { readonly scales: TensorNode; readonly zeroPoints: TensorNode; readonly axis: number },
    readonly requiresGrad: boolean,
  ) {}
}

/** A tensor of any kind. */
export type AnyTensorNode = TensorNode | MetaTensorNode | SparseNode | QuantizedNode;

export function isTensorNode(node: unknown): node is AnyTensorNode {
  return (
    node instanceof TensorNode ||
    node instanceof MetaTensorNode ||
    node instanceof SparseNode ||
    node instanceof QuantizedNode
  );
}

/** A parameter made of a tensor. */
export class ParameterNode {
  attributes: DictNode | undefined;

  constructor(
    /** Files of very old versions give it after the parameter has been made. */
    public data: AnyTensorNode | undefined,
    public requiresGrad: boolean,
  ) {}
}

/** A type of NumPy: its code without the order of bytes. */
export class NumpyTypeNode {
  bigEndian = false;

  constructor(readonly code: string) {}
}

/** An array of NumPy; what it holds comes after it was made. */
export class NumpyArrayNode {
  content: NumpyContent | undefined;
}

/** A number of NumPy. */
export class NumpyScalarNode {
  constructor(readonly content: NumpyContent) {}
}

/** The values of an array of NumPy. */
export interface NumpyContent {
  readonly type: NumpyTypeNode;
  readonly shape: number[];
  readonly fortranOrder: boolean;
  readonly bytes: Uint8Array;
}
