import { itemSize } from "../dtype.js";
import type { Tensor } from "../tensor.js";
import type { PickleInstructions } from "./pickle-instructions.js";
import { storageClass } from "./storage-types.js";
import type {
  MetaFacts,
  QuantizedFacts,
  SparseFacts,
  StorageFacts,
  StridedFacts,
  TensorFacts,
} from "./tensor-facts.js";

/** Writes tensors into a pickle in the words of `torch.save`, and collects their storages. */
export class TensorWriter {
  readonly #out: PickleInstructions;
  /** Writes a tensor as a value of the pickle. */
  readonly #value: (tensor: Tensor) => void;
  readonly #keys = new Map<bigint, { key: string; untyped: boolean; dtype: string }>();
  /** The storages that were named, in the order of their keys. */
  readonly storages: StorageFacts[] = [];

  constructor(out: PickleInstructions, value: (tensor: Tensor) => void) {
    this.#out = out;
    this.#value = value;
  }

  /** Writes a function that makes the tensor, and its arguments; a call (0x52) is to follow. */
  tensor(facts: TensorFacts, between: () => void = () => {}): void {
    this.#out.global("torch._utils", this.#rebuild(facts));
    between();
    switch (facts.kind) {
      case "strided":
        this.#strided(facts);
        break;
      case "meta":
        this.#meta(facts);
        break;
      case "sparse":
        this.#sparse(facts);
        break;
      case "quantized":
        this.#quantized(facts);
        break;
    }
  }

  #rebuild(facts: TensorFacts): string {
    if (facts.kind === "meta") return "_rebuild_meta_tensor_no_storage";
    if (facts.kind === "sparse") return "_rebuild_sparse_tensor";
    if (facts.kind === "quantized") return "_rebuild_qtensor";
    return this.#storageKey(facts).untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2";
  }

  #strided(facts: StridedFacts): void {
    const out = this.#out;
    const { key, untyped } = this.#storageKey(facts);
    out.bytes(0x28);
    this.#storage(facts, key, untyped);
    this.#place(facts);
    out.flag(facts.requiresGrad);
    out.emptyOrderedDict();
    if (untyped) out.global("torch", facts.dtype);
    this.#bits(facts);
    out.bytes(0x74);
  }

  /** A persistent id: the storage itself is beside the pickle. */
  #storage({ dtype, storage }: StridedFacts, key: string, untyped: boolean): void {
    const out = this.#out;
    out.bytes(0x28);
    out.text("storage");
    if (untyped) out.global("torch.storage", "UntypedStorage");
    else out.global("torch", storageClass(dtype) as string);
    out.text(key);
    out.text(storage.location);
    out.integer(untyped ? storage.content.size : storage.content.size / itemSize(dtype));
    out.bytes(0x74, 0x51);
  }

  #place({ offset, shape, stride }: StridedFacts): void {
    this.#out.integer(offset);
    this.#out.integers(shape);
    this.#out.integers(stride);
  }

  /**
   * The name of a tensor's storage in the file. PyTorch gives a storage the type with which it is first named, so that tensors
   * which look at it as another type have to bring their type themselves, as all those of newer types do.
   */
  #storageKey({ dtype, storage }: StridedFacts): { key: string; untyped: boolean } {
    const known = this.#keys.get(storage.id);
    const typed = storageClass(dtype) !== undefined && storage.content.size % itemSize(dtype) === 0;
    if (known !== undefined) {
      return { key: known.key, untyped: known.untyped || !typed || known.dtype !== dtype };
    }
    const entry = { key: String(this.storages.length), untyped: !typed, dtype };
    this.storages.push(storage);
    this.#keys.set(storage.id, entry);
    return entry;
  }

  /** Whether a complex tensor is a lazy conjugate, or a tensor a lazy negative, of what is in memory. */
  #bits(facts: StridedFacts): void {
    if (!facts.conj && !facts.neg) return;
    this.#out.bytes(0x7d);
    for (const name of ["conj", "neg"] as const) {
      if (!facts[name]) continue;
      this.#out.text(name);
      this.#out.bytes(0x88, 0x73);
    }
  }

  #meta(facts: MetaFacts): void {
    const out = this.#out;
    out.bytes(0x28);
    out.global("torch", facts.dtype);
    out.integers(facts.shape);
    out.integers(facts.stride);
    out.flag(facts.requiresGrad);
    out.bytes(0x74);
  }

  #sparse(facts: SparseFacts): void {
    const out = this.#out;
    out.global("torch.serialization", "_get_layout");
    out.text(`torch.${facts.layout}`);
    out.call(1);
    out.bytes(0x28);
    for (const indices of facts.indices) this.#value(indices);
    this.#value(facts.values);
    out.global("torch", "Size");
    out.integers(facts.shape);
    out.call(1);
    if (facts.coalesced !== undefined) out.flag(facts.coalesced);
    out.bytes(0x74, 0x86);
  }

  #quantized({ values, quantizer, requiresGrad }: QuantizedFacts): void {
    const out = this.#out;
    out.bytes(0x28);
    this.#storage(values, this.#storageKey(values).key, false);
    this.#place(values);
    out.bytes(0x28);
    if ("scale" in quantizer) {
      out.global("torch", "per_tensor_affine");
      out.float(quantizer.scale);
      out.integer(quantizer.zeroPoint);
    } else {
      out.global("torch", "per_channel_affine");
      this.#value(quantizer.scales);
      this.#value(quantizer.zeroPoints);
      out.integer(quantizer.axis);
    }
    out.bytes(0x74);
    out.flag(requiresGrad);
    out.emptyOrderedDict();
    out.bytes(0x74);
  }
}
