import { existsSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { readJson } from "../json.js";
import { functionOf } from "../levin.js";
import type { Report } from "../report.js";

/** Named tensors of a `.safetensors` file. */
export type Tensors = Record<string, torch.Tensor>;

/** A group of cases reads its files from a folder and runs each case under a report. */
export type Group = (folder: string, report: Report) => Promise<void>;

/** The `.safetensors` beside a `.json`; none where there is no such file. */
export function loadTensors(path: string): Tensors {
  const file = `${path}.safetensors`;
  return existsSync(file)
    ? (functionOf(torch.serialization, "serialization", "load_safetensors")(file) as Tensors)
    : {};
}

/** The two files of a group: what was done and the tensors. Undefined where the folder has no such group. */
export function loadGroup<T>(folder: string, name: string): { about: T; tensors: Tensors } | undefined {
  const path = join(folder, name);
  if (!existsSync(`${path}.json`)) return undefined;
  return { about: readJson<T>(`${path}.json`), tensors: loadTensors(path) };
}

/** The tensors whose name begins with a prefix, by the rest of their name. */
export function part(tensors: Tensors, prefix: string): Tensors {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

/** The tensors `prefix0`, `prefix1`, ... in order, as copies. */
export function numbered(tensors: Tensors, prefix: string): torch.Tensor[] {
  const found: torch.Tensor[] = [];
  for (let i = 0; `${prefix}${i}` in tensors; i++)
    found.push((tensors[`${prefix}${i}`] as torch.Tensor).clone());
  return found;
}

/** Whether gradients can flow into a tensor. */
export function isFloating(tensor: torch.Tensor): boolean {
  return /float/.test(tensor.dtype);
}

/** A number of the files: infinities and nan are written as strings. */
export function number(value: number | string): number {
  if (typeof value === "number") return value;
  return value === "nan"
    ? Number.NaN
    : value === "-inf"
      ? Number.NEGATIVE_INFINITY
      : Number.POSITIVE_INFINITY;
}
