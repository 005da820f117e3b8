// Calls everything public with arguments that are wrong, as a generator finds them, in a process of its own.
import { describe, expect, it } from "vitest";
import { entry, inProcess } from "./elsewhere.js";

interface Outcome {
  call: string;
  /** The class of the error, null where the call gave a value. */
  error: string | null;
  message: string;
}

const PROGRAM = `
import { native } from ${JSON.stringify(entry.replace("index.js", "native.js"))};
torch.setNumThreads(1);
let state = 20240229;
const next = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const pick = (list) => list[Math.floor(next() * list.length)];

const disposed = torch.ones([2]);
disposed.dispose();
const values = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  Infinity: () => Infinity,
  "-1": () => -1,
  "0.5": () => 0.5,
  "2 ** 53": () => 2 ** 53,
  "2n ** 70n": () => 2n ** 70n,
  '"text"': () => "text",
  '""': () => "",
  true: () => true,
  "Symbol()": () => Symbol("s"),
  "() => 1": () => () => 1,
  "{}": () => ({}),
  "{ nonsense: 1 }": () => ({ nonsense: 1 }),
  "{ dim: NaN }": () => ({ dim: NaN }),
  "{ dtype: 'float' }": () => ({ dtype: "float" }),
  "{ device: 'gpu' }": () => ({ device: "gpu" }),
  "{ out: 5 }": () => ({ out: 5 }),
  "[]": () => [],
  "[NaN]": () => [NaN],
  "[-1, -1]": () => [-1, -1],
  "[2 ** 40, 2 ** 40]": () => [2 ** 40, 2 ** 40],
  "['a']": () => ["a"],
  "[[1], [2]]": () => [[1], [2]],
  "new Date()": () => new Date(0),
  "new Map()": () => new Map(),
  "new DataView": () => new DataView(new ArrayBuffer(4)),
  "new Float32Array(3)": () => new Float32Array(3),
  "a disposed tensor": () => disposed,
  "a list with a disposed tensor": () => [torch.ones([2]), disposed],
  "a meta tensor": () => torch.ones([2, 3], { device: "meta" }),
  "an int64 tensor": () => torch.ones([2, 3], { dtype: "int64" }),
  "a bool tensor": () => torch.ones([5], { dtype: "bool" }),
  "a complex tensor": () => torch.ones([4], { dtype: "complex64" }),
  "an empty tensor": () => torch.ones([0, 3]),
  "a tensor of another shape": () => torch.ones([7, 11]),
  "a sparse tensor": () => torch.eye(3).toSparse(),
  "a quantized tensor": () => torch.ones([2], { dtype: "uint8" }),
  "a generator": () => torch.defaultGenerator,
  "an object like a tensor": () => ({ handle: {} }),
  "a tensor without a handle": () => new torch.Tensor(),
  "a tensor with a generator's handle": () => new torch.Tensor(torch.defaultGenerator.handle),
};
const receivers = {
  "float [2, 3]": () => torch.ones([2, 3]),
  "int [2, 3]": () => torch.ones([2, 3], { dtype: "int64" }),
  "float []": () => torch.tensor(1),
  "meta [2, 3]": () => torch.ones([2, 3], { device: "meta" }),
  "disposed": () => disposed,
  "sparse [3, 3]": () => torch.eye(3).toSparse(),
  "complex [2]": () => torch.ones([2], { dtype: "complex64" }),
  "leaf [2, 3]": () => torch.ones([2, 3], { requiresGrad: true }),
};

const outcomes = [];
const expected = [torch.ArgumentError, torch.DisposedError, torch.OperatorError];
function attempt(call, body) {
  process.stderr.write(""); // nothing is printed on the way; the call is known from its place when the process dies
  try {
    body();
    outcomes.push({ call, error: null, message: "" });
  } catch (error) {
    const known = expected.find((type) => error instanceof type);
    outcomes.push({ call, error: known?.name ?? error?.constructor?.name ?? String(error), message: String(error?.message) });
  }
  torch.setGradEnabled(true);
  torch.setDefaultDtype("float32");
  torch.setNumThreads(1);
}
function args(most) {
  const names = Array.from({ length: Math.floor(next() * (most + 1)) }, () => pick(Object.keys(values)));
  return { text: names.join(", "), given: names.map((name) => values[name]()) };
}

// Left out: what writes files, loads them or belongs to other tests, and what takes its time by design for huge numbers.
const functions = Object.entries(torch).filter(
  ([name, value]) => typeof value === "function" && !/^[A-Z]|^(save|load|getStorage|combinations|enterInferenceMode)$/.test(name),
);
for (const space of ["linalg", "fft", "special", "memory", "autograd", "amp", "cuda", "mps"]) {
  for (const [name, value] of Object.entries(torch[space])) {
    if (typeof value === "function" && !/^[A-Z]|[pP]olynomial/.test(name)) functions.push([space + "." + name, value]);
  }
}
for (const [name, body] of functions) {
  for (let i = 0; i < 2; i++) {
    const { text, given } = args(3);
    attempt("torch." + name + "(" + text + ")", () => body(...given));
  }
}
for (const name of Object.getOwnPropertyNames(torch.Tensor.prototype)) {
  if (name === "constructor" || name === "dispose" || name === "combinations") continue;
  const { get, set, value } = Object.getOwnPropertyDescriptor(torch.Tensor.prototype, name);
  for (let i = 0; i < 2; i++) {
    const kind = pick(Object.keys(receivers));
    const { text, given } = args(2);
    if (value !== undefined) attempt("(" + kind + ")." + name + "(" + text + ")", () => value.apply(receivers[kind](), given));
    else if (set !== undefined) attempt("(" + kind + ")." + name + " = " + text, () => set.call(receivers[kind](), given[0]));
    else attempt("(" + kind + ")." + name, () => get.call(receivers[kind]()));
  }
}
const publicCalls = outcomes.length;
// The addon itself, which no user sees, under even less careful hands.
const inner = [undefined, null, NaN, -1, 2 ** 53, 5n, "x", {}, [], [1], torch.ones([2]).handle, [torch.ones([2]).handle], torch.defaultGenerator.handle, disposed.handle, () => undefined, new Uint8Array(4)];
for (const name of Object.keys(native)) {
  if (/^(initialize|loadLibrary|collect|enterInferenceMode|pushSavedHooks)$/.test(name)) continue;
  for (let i = 0; i < 12; i++) {
    const given = Array.from({ length: Math.floor(next() * 9) }, () => pick(inner));
    attempt("native." + name, () => native[name](...given));
  }
}
native.serveHooksFromHelperThread(false);
// After all this the package still works.
const x = torch.tensor([3], { requiresGrad: true });
torch.enableGrad(() => x.mul(x).sum().backward());
console.log(JSON.stringify({ outcomes, publicCalls, after: x.grad.item() }));`;

describe("wrong calls", () => {
  it("give errors that help, and never end the process", async () => {
    const { code, signal, stdout, stderr } = await inProcess(PROGRAM);
    expect([code, signal], stderr.slice(-2000)).toEqual([0, null]);
    const { outcomes, publicCalls, after } = JSON.parse(stdout) as {
      outcomes: Outcome[];
      publicCalls: number;
      after: number;
    };
    expect(after).toBe(6);
    const open = outcomes.slice(0, publicCalls);
    const failed = open.filter(({ error }) => error !== null);
    expect(failed.length).toBeGreaterThan(1500);
    expect(outcomes.length - publicCalls).toBeGreaterThan(800);

    const strange = failed.filter(
      ({ error }) => !/^(ArgumentError|DisposedError|OperatorError)$/.test(error ?? ""),
    );
    expect(strange.map(({ call, error, message }) => `${call}: ${error}: ${message}`)).toEqual([]);
    const useless = failed.filter(
      ({ message }) => message.length < 12 || /Node-API|unknown native|\bat 0x/.test(message),
    );
    expect(useless.map(({ call, message }) => `${call}: ${message}`)).toEqual([]);
  });
});
