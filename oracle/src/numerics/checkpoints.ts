import { join } from "node:path";
import * as torch from "@levin/torch";
import { functionOf } from "../levin.js";
import { Mismatch } from "../report.js";
import { expectExact, expectSame, sha256 } from "./compare.js";
import { type Group, loadGroup, type Tensors } from "./group.js";

interface TensorContent {
  type: "Tensor" | "Parameter";
  dtype: string;
  shape: number[];
  stride: number[];
  offset: number;
  requires_grad: boolean;
  storage: number;
  storage_bytes: number;
  sha256?: string;
  sha256_real_view?: string;
}

/** What the recorder says of a loaded object; plain values stand for themselves. */
type Content =
  | null
  | boolean
  | string
  | number
  | bigint
  | TensorContent
  | ({ type: string } & Record<string, unknown>);

interface FileCase {
  file: string;
  about: string;
  loads_with_weights_only: boolean;
  refused_because: string | null;
  content: Content;
}

/** Files of `torch.save` and of Lightning: everything in them, with layout and sharing of the tensors. */
export const checkpoints: Group = async (folder, report) => {
  const group = loadGroup<{ files: FileCase[] }>(folder, "checkpoints");
  if (group === undefined) return;
  for (const case_ of group.about.files) {
    await report.run(`checkpoints/${case_.file}`, () => {
      const load = functionOf(torch, "torch", "load");
      let loaded: unknown;
      try {
        loaded = load(join(folder, "checkpoints", case_.file));
      } catch (error) {
        if (mayRefuse(case_) && error instanceof torch.LevinError) return;
        throw error;
      }
      new Comparison(group.tensors).compare(loaded, case_.content, case_.file);
    });
  }
};

/** Files that PyTorch's own safe loader refuses, or that the recorder says may be refused, need only a clear error. */
function mayRefuse(case_: FileCase): boolean {
  return !case_.loads_with_weights_only || /else refused/.test(case_.about);
}

/** Compares one loaded file; storages get numbers in the order of their first appearance. */
class Comparison {
  readonly #storages = new Map<bigint, number>();
  readonly #tensors: Tensors;

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
  }

  /** Fails where the value is not what was recorded; `where` is the path to it. */
  compare(value: unknown, want: Content, where: string): void {
    if (want === null || typeof want !== "object") {
      expectSame(where, scalar(value), want);
      return;
    }
    if (want.type === "Tensor" || want.type === "Parameter")
      return this.#tensor(value, want as TensorContent, where);
    const {
      type,
      items,
      value: wanted,
      hex,
    } = want as { type: string; items?: unknown[]; value?: unknown; hex?: unknown };
    switch (type) {
      case "list":
      case "tuple":
      case "Size":
        return this.#sequence(value, items as Content[], where);
      case "set":
      case "frozenset":
        if (!(value instanceof Set)) throw new Mismatch(`${where}: wanted a Set, got ${kindOf(value)}`);
        return this.#sequence([...value].sort(), items as Content[], where);
      case "float":
      case "int":
        return expectSame(
          where,
          String(scalar(value)),
          String(wanted)
            .replace(/^(-?)inf$/, "$1Infinity")
            .replace("nan", "NaN"),
        );
      case "dtype":
      case "device":
        return expectSame(where, String(value), String(wanted).replace(/^torch\./, ""));
      case "bytes":
        if (!(value instanceof Uint8Array))
          throw new Mismatch(`${where}: wanted bytes, got ${kindOf(value)}`);
        return expectSame(where, Buffer.from(value).toString("hex"), hex);
      case "complex":
        return expectSame(where, complexParts(value), wanted);
      default:
        if (items === undefined) throw new Mismatch(`${where}: a ${type}, which this reader does not know`);
        return this.#mapping(value, items as [Content, Content][], where);
    }
  }

  #sequence(value: unknown, items: Content[], where: string): void {
    if (!Array.isArray(value)) throw new Mismatch(`${where}: wanted a list, got ${kindOf(value)}`);
    expectSame(`${where}: length`, value.length, items.length);
    items.forEach((item, i) => {
      this.compare(value[i], item, `${where}/${i}`);
    });
  }

  #mapping(value: unknown, items: [Content, Content][], where: string): void {
    if (
      typeof value !== "object" ||
      value === null ||
      Array.isArray(value) ||
      value instanceof torch.Tensor
    ) {
      throw new Mismatch(`${where}: wanted a mapping, got ${kindOf(value)}`);
    }
    const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
    expectSame(
      `${where}: keys`,
      entries.map(([key]) => scalar(key)),
      items.map(([key]) => key),
    );
    items.forEach(([key, item], i) => {
      this.compare(entries[i]?.[1], item, `${where}/${String(key)}`);
    });
  }

  #tensor(value: unknown, want: TensorContent, where: string): void {
    if (!(value instanceof torch.Tensor))
      throw new Mismatch(`${where}: wanted a tensor, got ${kindOf(value)}`);
    if (want.type === "Parameter" && !(value instanceof torch.nn.Parameter))
      throw new Mismatch(`${where}: wanted a Parameter`);
    const storage = torch.getStorage(value);
    const id = want.shape.includes(0) ? 0n : storage.id;
    if (!this.#storages.has(id)) this.#storages.set(id, this.#storages.size);
    expectSame(
      where,
      {
        dtype: value.dtype,
        shape: value.shape,
        stride: value.stride(),
        offset: value.storageOffset(),
        requires_grad: value.requiresGrad,
        storage: this.#storages.get(id),
        storage_bytes: storage.nbytes,
      },
      {
        dtype: want.dtype,
        shape: want.shape,
        stride: want.stride,
        offset: want.offset,
        requires_grad: want.requires_grad,
        storage: want.storage,
        storage_bytes: want.storage_bytes,
      },
    );
    expectSame(`${where}: sha256`, sha256(value), want.sha256_real_view ?? want.sha256);
    const stored = this.#tensors[where];
    if (stored !== undefined) expectExact(where, value, stored);
  }
}

/** A number that is held in an object to remember that Python had a float there. */
function scalar(value: unknown): unknown {
  if (typeof value === "object" && value !== null && "value" in value)
    return (value as { value: unknown }).value;
  return value;
}

function complexParts(value: unknown): unknown {
  const { re, im, real, imag } = value as Record<string, unknown>;
  return [re ?? real, im ?? imag];
}

function kindOf(value: unknown): string {
  return typeof value === "object" && value !== null
    ? value.constructor.name
    : `${typeof value} ${String(value)}`;
}
