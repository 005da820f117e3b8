import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { manualSeed, nn, noGrad, rand, randint, randn, serialization, Tensor, tensor } from "@levin/torch";
import type { Call, Case, ModuleSpec, TensorSpec } from "./nn-spec.js";

/** What the recorder says about a case, beside the tensors. */
export interface Recorded {
  error?: string;
  repr: string;
  after: string;
  keys: string[];
  next: number;
  tensors: Map<string, Tensor>;
}

/** Has PyTorch run the cases, and reads what came out. */
export function record(cases: readonly (Case | Call)[]): Recorded[] {
  const folder = mkdtempSync(join(tmpdir(), "levin-nn-"));
  try {
    const source = join(folder, "cases.json");
    const out = join(folder, "recorded");
    writeFileSync(source, JSON.stringify(cases));
    const recorder = fileURLToPath(new URL("./nn_recorder.py", import.meta.url));
    execFileSync(process.env.LEVIN_PYTHON as string, [recorder, source, out], { stdio: "inherit" });
    const recorded = JSON.parse(readFileSync(`${out}.json`, "utf8")) as Recorded[];
    for (const about of recorded) about.tensors = new Map();
    for (const [key, value] of Object.entries(serialization.loadSafetensors(`${out}.safetensors`))) {
      const slash = key.indexOf("/");
      recorded[Number(key.slice(0, slash))]?.tensors.set(key.slice(slash + 1), value as Tensor);
    }
    return recorded;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type AnyModule = nn.Module & { forward(...args: unknown[]): unknown };

function build([name, args, options]: ModuleSpec): AnyModule {
  const type = (nn as unknown as Record<string, new (...args: unknown[]) => AnyModule>)[name];
  if (type === undefined) throw new Error(`no nn.${name}`);
  const given = args.map(argument);
  return Object.keys(options).length > 0 ? new type(...given, optionsOf(options)) : new type(...given);
}

function argument(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(argument);
  if (typeof value !== "object" || value === null) return value;
  if ("module" in value) return build(value.module as ModuleSpec);
  if ("chunks" in value) return value.chunks;
  return "tensor" in value ? make(value.tensor as TensorSpec) : value;
}

function optionsOf(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, argument(value)]));
}

function make(spec: TensorSpec): Tensor {
  if (Array.isArray(spec)) return randn(spec);
  if ("data" in spec) return tensor(spec.data, { dtype: spec.dtype ?? "float32" });
  if ("integers" in spec) return randint(spec.low ?? 0, spec.high, spec.integers, { dtype: "int64" });
  if ("below" in spec) return rand(spec.below).lt(spec.limit);
  const made = "normal" in spec ? randn(spec.normal) : rand(spec.uniform);
  return spec.dtype ? made.to(spec.dtype) : made;
}

/** Whether an input has given values, such as labels: it wants no gradient. */
function isGiven(input: unknown): boolean {
  const spec = (input as { tensor?: object } | undefined)?.tensor;
  return spec !== undefined && "data" in spec;
}

function flat(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (value instanceof nn.utils.rnn.PackedSequence) return [value.data, value.batchSizes];
  return Array.isArray(value) ? value.flatMap(flat) : [];
}

function difference(got: Tensor | null | undefined, want: Tensor, rtol: number, atol: number): string | null {
  if (!got) return "there is none";
  const dense = got.layout === "strided" ? got : got.toDense();
  if (dense.shape.join() !== want.shape.join()) return `shape [${dense.shape}] instead of [${want.shape}]`;
  if (dense.dtype !== want.dtype) return `${dense.dtype} instead of ${want.dtype}`;
  const a = dense.detach().to("float64");
  const b = want.to("float64");
  return a.allclose(b, rtol, atol, true) ? null : `differs by ${a.sub(b).abs().max().item()}`;
}

/** Collects what is not as it was recorded. */
class Comparison {
  readonly found: string[] = [];

  constructor(
    private readonly recorded: Recorded,
    private readonly rtol = 1e-5,
    private readonly atol = 1e-6,
  ) {}

  /** Compares tensors with those recorded under a prefix, within the tolerance or to the bit. */
  tensors(prefix: string, got: ReadonlyMap<string, Tensor | null>, exact = false): void {
    for (const [key, want] of this.recorded.tensors) {
      if (!key.startsWith(`${prefix}/`)) continue;
      const of = got.get(key.slice(prefix.length + 1));
      const text = exact ? difference(of, want, 0, 0) : difference(of, want, this.rtol, this.atol);
      if (text !== null) this.found.push(`${key}: ${text}`);
    }
  }

  text(what: string, got: string, want: string): void {
    if (got !== want) this.found.push(`${what}: ${got}\ninstead of ${want}`);
  }

  /** Compares outputs, backpropagates random factors of them, and compares the next random number. */
  outputs(outputs: readonly Tensor[]): void {
    this.tensors("output", byNumber(outputs));
    const terms = outputs
      .filter((output) => output.requiresGrad)
      .map((output) => output.mul(randn(output.shape, { dtype: output.dtype })).sum());
    if (terms.length > 0) terms.reduce((a, b) => a.add(b)).backward();
  }

  nextRandom(): void {
    this.text("the next random number", String(rand([1]).item()), String(this.recorded.next));
  }
}

function byNumber<T>(list: readonly T[]): Map<string, T> {
  return new Map(list.map((item, i) => [String(i), item]));
}

/** Runs a module as the recorder did, and lists what is not the same. */
export function differencesOfModule(spec: Case, recorded: Recorded): string {
  const comparison = new Comparison(recorded, spec.rtol, spec.atol);
  manualSeed(spec.seed ?? 0);
  const module = build(spec.module);
  comparison.text("prints", String(module), recorded.repr ?? "");
  const state = module.stateDict();
  comparison.text("keys", Object.keys(state).join(), recorded.keys?.join() ?? "");
  module.train((spec.mode ?? "train") === "train");
  const inputs = spec.inputs.map(argument);
  const leaves = flat(inputs);
  leaves.forEach((leaf, i) => {
    if (leaf.isFloatingPoint() && !spec.noGrad && !isGiven(spec.inputs[i])) leaf.requiresGrad_();
  });
  const options = optionsOf(spec.options ?? {});
  comparison.tensors("state", new Map(Object.entries(state)), true);
  if (spec.pack) {
    const { lengths, ...more } = spec.pack;
    inputs[0] = nn.utils.rnn.packPaddedSequence(inputs[0] as Tensor, lengths, more);
  }
  const given = Object.keys(options).length > 0 ? [...inputs, options] : inputs;
  const outputs = flat(spec.noGrad ? noGrad(() => module.forward(...given)) : module.forward(...given));
  comparison.text("prints after forward", String(module), recorded.after ?? "");
  comparison.outputs(outputs);
  comparison.tensors("grad_input", byNumber(leaves.map((leaf) => leaf.grad)));
  comparison.tensors("grad", new Map(module.namedParameters().map(([key, p]) => [key, p.grad])));
  comparison.tensors("after", new Map(Object.entries(module.stateDict())));
  comparison.nextRandom();
  return comparison.found.join("\n");
}

/** Calls a function as the recorder did, and lists what is not the same. */
export function differencesOfCall(spec: Call, recorded: Recorded): string {
  const comparison = new Comparison(recorded, spec.rtol, spec.atol);
  manualSeed(spec.seed ?? 0);
  const fn = (nn.functional as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>)[
    spec.function
  ];
  if (fn === undefined) throw new Error(`no nn.functional.${spec.function}`);
  const inputs = spec.inputs.map(argument);
  inputs.forEach((input, i) => {
    const wanted =
      input instanceof Tensor && input.isFloatingPoint() && !spec.noGrad && !isGiven(spec.inputs[i]);
    if (wanted) input.requiresGrad_();
  });
  const options = optionsOf(spec.options ?? {});
  comparison.outputs(flat(Object.keys(options).length > 0 ? fn(...inputs, options) : fn(...inputs)));
  comparison.tensors(
    "grad_input",
    byNumber(inputs.map((input) => (input instanceof Tensor ? input.grad : null))),
  );
  comparison.nextRandom();
  return comparison.found.join("\n");
}
