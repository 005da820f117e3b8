import type { DType } from "../dtype.js";
import { describe } from "./call-arguments.js";
import { SerializationError } from "./errors.js";
import { GlobalNode } from "./nodes.js";
import { Tuple } from "./python.js";
import { storageTypes } from "./storage-types.js";

/** What a persistent id says about a storage. */
export interface StorageParts {
  key: string;
  /** null for a storage of bytes without a type. */
  dtype: DType | null;
  location: string;
  /** The number of its elements. */
  count: number;
  /** The part of it that is meant, in old files. */
  view: unknown;
}

/** Takes the persistent id of a storage apart: `("storage", type, key, location, number of elements)`, and a part of it in old files. */
export function storageParts(id: unknown, length: 5 | 6): StorageParts {
  const [kind, type, key, location, count, view] = id instanceof Tuple ? id : [];
  if (kind === "module") {
    throw new SerializationError(
      "the file holds a whole Module, which is Python code; save its state_dict instead",
    );
  }
  const named = typeof key === "string" && typeof location === "string";
  if (kind !== "storage" || (id as Tuple).length !== length || !named) {
    throw new SerializationError("the pickle refers to something outside of it that is not a storage");
  }
  return { key, dtype: storageDType(type), location, count: elementCount(count), view };
}

/** The type of the elements of one of PyTorch's classes of storages, null where it has none. */
export function storageDType(type: unknown): DType | null {
  const isClass = type instanceof GlobalNode && /^torch(\.storage|\.cuda)?$/.test(type.module);
  const dtype =
    isClass && type.name === "UntypedStorage" ? null : isClass ? storageTypes.get(type.name) : undefined;
  if (dtype !== undefined) return dtype;
  const path = type instanceof GlobalNode ? type.path.slice(0, 100) : "unknown";
  throw new SerializationError(`storages of the type ${path} are not supported`);
}

function elementCount(count: unknown): number {
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0 && count <= 2 ** 48)
    return count;
  throw new SerializationError(`the number of elements of a storage is ${describe(count)}`);
}
