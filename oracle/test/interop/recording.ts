import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";

/** One recorded call; which fields there are is up to the script that records. */
export interface RecordedCall {
  expression: string;
  kind: "function" | "method";
  name: string;
  dtype: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
  result?: unknown;
  gradients?: unknown[];
}

/** What a script recorded. */
export interface Recording {
  seed: number;
  calls: RecordedCall[];
  /** A recorded value as levin has it. */
  decode(value: unknown): unknown;
}

/** Runs one of the Python scripts beside this file and reads what it recorded. */
export function record(script: string, ...args: string[]): Recording {
  const python = process.env.LEVIN_PYTHON;
  if (python === undefined) throw new Error("LEVIN_PYTHON must name a Python with torch and lightning");
  const folder = mkdtempSync(join(tmpdir(), "levin-recording-"));
  const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  try {
    execFileSync(python, [path(script), ...args.map(path), folder], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const { seed, calls } = JSON.parse(readFileSync(join(folder, "calls.json"), "utf8"));
    const bytes = readFileSync(join(folder, "tensors.bin"));
    return { seed, calls, decode: (value) => decode(value, bytes) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function decode(value: unknown, bytes: Uint8Array): unknown {
  if (Array.isArray(value)) return value.map((part) => decode(part, bytes));
  if (typeof value !== "object" || value === null) return value;
  const [[kind, content]] = Object.entries(value) as [[string, never]];
  switch (kind) {
    case "tensor": {
      const [dtype, shape, offset] = content as [torch.DType, number[], number];
      const count = shape.reduce((product, size) => product * size, 1);
      return torch.frombuffer(bytes, { dtype, offset, count }).view(shape);
    }
    case "dtype":
      return content;
    case "number":
      return content === "nan"
        ? Number.NaN
        : /inf/.test(content)
          ? Number(`${content}inity`.replace("inf", "Inf"))
          : BigInt(content);
    case "complex":
      return new torch.Complex(content[0], content[1]);
    default:
      return Object.fromEntries(Object.entries(content).map(([key, part]) => [key, decode(part, bytes)]));
  }
}

/** The tensors and other values in lists and objects of results, in order. */
export function flat(value: unknown): unknown[] {
  if (value instanceof torch.Tensor || value instanceof torch.Complex) return [value];
  if (Array.isArray(value)) return value.flatMap(flat);
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(flat);
  return [value];
}

function bytesOf(tensor: torch.Tensor): Buffer {
  const plain = tensor.detach().resolveConj().resolveNeg().contiguous();
  const { buffer, byteOffset, byteLength } = plain.toTypedArray();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** How a result differs from the recorded one, or whether they are the same to the bit or only close. */
export function compare(got: unknown, want: unknown): "same" | "close" | { difference: string } {
  const [a, b] = [flat(got), flat(want)];
  if (a.length !== b.length) return { difference: `${a.length} results instead of ${b.length}` };
  let verdict: "same" | "close" = "same";
  for (const [i, wanted] of b.entries()) {
    const one = compareOne(a[i], wanted);
    if (typeof one === "object") return one;
    if (one === "close") verdict = "close";
  }
  return verdict;
}

function compareOne(got: unknown, want: unknown): "same" | "close" | { difference: string } {
  if (!(want instanceof torch.Tensor)) {
    if (String(got) === String(want)) return "same";
    return typeof want === "number" && Math.abs(Number(got) - want) <= 1e-6 * Math.abs(want)
      ? "close"
      : { difference: `${String(got)} instead of ${String(want)}` };
  }
  if (!(got instanceof torch.Tensor)) return { difference: `${String(got)} instead of a tensor` };
  const [is, should] = [got, want].map((tensor) => `${tensor.dtype} [${tensor.shape}]`);
  if (is !== should) return { difference: `${is} instead of ${should}` };
  if (bytesOf(got).equals(bytesOf(want))) return "same";
  const [a, b] = [got, want].map((tensor) =>
    tensor.isComplex() || tensor.isFloatingPoint() ? tensor : tensor.double(),
  );
  if (torch.allclose(a as torch.Tensor, b as torch.Tensor, { rtol: 1e-5, atol: 1e-6, equalNan: true }))
    return "close";
  return { difference: "other values" };
}

/** What was compared: names by how they came out. */
export class Outcome {
  readonly names = new Set<string>();
  readonly failed = new Map<string, string>();
  same = 0;
  close = 0;

  /** Runs one comparison; an error of levin's is a difference, too. */
  add(name: string, run: () => ReturnType<typeof compare>): void {
    this.names.add(name);
    try {
      const verdict = run();
      if (typeof verdict === "object") this.failed.set(name, verdict.difference);
      else this[verdict] += 1;
    } catch (error) {
      this.failed.set(name, `${(error as Error).name}: ${(error as Error).message}`);
    }
  }
}
