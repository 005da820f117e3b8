// Calls every operator of libtorch with random arguments and reports those that end the process or hang.
//
//   node scripts/fuzz-operators.mjs [--rounds 40] [--seed 1] [--only TEXT] [--memory KILOBYTES]
//
// The calls run in child processes, which write down what they are about to do; where one dies, the parent notes the call and
// goes on behind it. What is found belongs into src/unsafe-operators.ts, or gets a check before the call.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const self = fileURLToPath(import.meta.url);
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    memory: { type: "string", default: "16000000" },
    child: { type: "string" }, // where a child starts: OPERATOR:ROUND
    journal: { type: "string" },
  },
});
const ROUNDS = Number(options.rounds);
const PATIENCE = 60_000; // milliseconds that one call may take

/** The schemas in a fixed order, as [name, arguments]. */
function schemas(native) {
  return native
    .schemas()
    .sort()
    .filter((text) => text.includes(options.only))
    .map((text) => {
      const [, name, inside] = /^([\w:]+)(?:\.\w+)?\((.*)\) -> /s.exec(text);
      const parts = [];
      let depth = 0;
      let quoted = false;
      let from = 0;
      for (let i = 0; i <= inside.length; i++) {
        const c = inside[i];
        if (c === '"') quoted = !quoted;
        if (quoted) continue;
        if (c === "(" || c === "[") depth++;
        if (c === ")" || c === "]") depth--;
        if (i === inside.length || (c === "," && depth === 0)) {
          parts.push(inside.slice(from, i).trim());
          from = i + 1;
        }
      }
      let keyword = false;
      const args = [];
      for (const part of parts.filter(Boolean)) {
        if (part === "*") {
          keyword = true;
          continue;
        }
        const match = /^(.+?) (\w+)(?:=(.+))?$/s.exec(part);
        if (match === null) continue; // "..." takes any number of arguments
        const [, type, argument, preset] = match;
        args.push({ type: type.replace(/\([a-z!*| >-]*\)/g, ""), name: argument, preset, keyword });
      }
      return { text, name, args };
    });
}

// ---------------------------------------------------------------- the child

/** Random numbers by the seed (mulberry32). */
function randomSource(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = (list) => list[Math.floor(next() * list.length)];
  return { next, pick, chance: (p) => next() < p };
}

const SHAPES = [
  [],
  [0],
  [1],
  [2],
  [3],
  [4],
  [5],
  [1, 1],
  [2, 3],
  [3, 3],
  [4, 4],
  [3, 0],
  [0, 3],
  [5, 2],
  [2, 3, 4],
  [1, 3, 3],
  [2, 0, 3],
  [2, 2, 4, 4],
  [1, 2, 3, 3],
  [2, 3, 4, 5],
  [1, 2, 3, 3, 3],
  [1, 1, 2, 2, 2, 2],
];
const DTYPES = [
  "float32",
  "float32",
  "float32",
  "float32",
  "float64",
  "int64",
  "int64",
  "int64",
  "bool",
  "uint8",
  "int32",
  "int16",
  "int8",
  "float16",
  "bfloat16",
  "complex64",
  "complex128",
  "uint16",
  "uint64",
  "float8_e4m3fn",
];
const INTS = [
  -1,
  0,
  1,
  2,
  3,
  4,
  5,
  -2,
  7,
  2 ** 40,
  -(2 ** 40),
  2 ** 53 - 1,
  9223372036854775807n,
  -9223372036854775808n,
];
const FEW_INTS = [0, 1, 2, 3, 1, 2];
const FLOATS = [0, 1, 0.5, -1, 1e-5, 1e38, Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300];
const STRINGS = [
  "",
  "mean",
  "sum",
  "none",
  "reflect",
  "bilinear",
  "ij,jk->ik",
  "ortho",
  "gelu",
  "relu",
  "left",
  "right",
  "gesvd",
  "trunc",
  "amax",
  "tanh",
  "xy",
  "a\u0000b",
  "L",
  "x".repeat(5000),
];

async function child(operators, torch) {
  const { call } = torch.ops;
  const [firstOperator, firstRound] = options.child.split(":").map(Number);
  const journal = openSync(options.journal, "a");

  function makeTensor(random, hint) {
    const shape = hint.shape ?? random.pick(SHAPES);
    const dtype = hint.dtype ?? random.pick(DTYPES);
    let made;
    if (dtype === "float8_e4m3fn") made = torch.randn(shape).to(dtype);
    else if (/float|complex/.test(dtype)) made = torch.randn(shape, { dtype });
    else if (dtype === "uint64" || dtype === "uint16") made = torch.randint(0, 5, shape).to(dtype);
    else if (dtype === "bool") made = torch.rand(shape).gt(0.5);
    else
      made = torch.randint(
        dtype === "uint8" || random.chance(0.7) ? 0 : -3,
        random.pick([2, 3, 100]),
        shape,
        { dtype },
      );
    if (hint.plain) return made;
    const kind = random.next();
    if (kind < 0.7) return made;
    if (kind < 0.75) return made.to("meta");
    if (kind < 0.79) return made.dim() > 0 ? made.toSparse() : made;
    if (kind < 0.82) return made.dim() >= 2 ? made.toSparseCsr() : made;
    if (kind < 0.86) return made.dim() > 1 ? made.transpose(0, -1) : made;
    if (kind < 0.9) return made.unsqueeze(0).expand([3, ...shape]);
    if (kind < 0.93) return /^float(32|64)$/.test(dtype) ? made.requiresGrad_() : made;
    if (kind < 0.95) return torch.quantizePerTensor(torch.randn(shape), 0.1, 0, "qint8");
    if (kind < 0.96) return made.dim() > 0 ? call("aten::to_mkldnn", made) : made;
    if (kind < 0.97)
      return made.dim() > 0 ? call("aten::_nested_tensor_from_tensor_list", [made, made]) : made;
    if (kind < 0.98)
      return torch.empty(
        shape.map((size) => size * 2 ** 33),
        { dtype, device: "meta" },
      );
    return torch.inferenceMode(() => made.clone());
  }

  function value(random, { type }, mood) {
    if (type.endsWith("?"))
      return random.chance(0.3) ? null : value(random, { type: type.slice(0, -1) }, mood);
    const list = /^(.*)\[(\d*)\]$/.exec(type);
    if (list) {
      const fixed = list[2] ? Number(list[2]) : undefined;
      const length = fixed && random.chance(0.7) ? fixed : random.pick([0, 1, 2, 3, 2, 4]);
      return Array.from({ length }, () => value(random, { type: list[1] }, mood));
    }
    switch (type) {
      case "Tensor":
        return makeTensor(random, mood);
      case "int":
      case "SymInt":
        return random.pick(random.chance(0.65) ? FEW_INTS : INTS);
      case "float":
        return random.pick(FLOATS);
      case "Scalar":
        return random.pick([
          ...INTS.filter((n) => typeof n === "number"),
          ...FLOATS,
          true,
          5n,
          new torch.Complex(1, -2),
        ]);
      case "bool":
        return random.chance(0.5);
      case "str":
        return random.pick(STRINGS);
      case "ScalarType":
        return random.pick([...DTYPES, "qint8", "complex32"]);
      case "Layout":
        return random.pick(["strided", "strided", "sparse_coo", "sparse_csr", "jagged", "mkldnn"]);
      case "MemoryFormat":
        return random.pick(["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"]);
      case "Device":
        return random.pick(["cpu", "cpu", "cpu", "meta", "cuda", "cpu:7"]);
      case "Generator":
        return new torch.Generator();
      default:
        return undefined;
    }
  }

  const show = (v, depth = 0) => {
    if (v instanceof torch.Tensor)
      return `T(${v.layout === "strided" ? JSON.stringify(v.shape) : v.layout},${v.dtype},${v.device})`;
    if (Array.isArray(v)) return depth > 2 ? "[..]" : `[${v.map((e) => show(e, depth + 1)).join(",")}]`;
    if (typeof v === "string") return JSON.stringify(v.slice(0, 30));
    return typeof v === "bigint" ? `${v}n` : v instanceof torch.Generator ? "generator" : String(v);
  };
  const camel = (name) => name.replace(/(?<=[^_])_([^_])/g, (_, c) => c.toUpperCase());
  const spare = [];

  for (let o = firstOperator; o < operators.length; o++) {
    const { name, args } = operators[o];
    const began = Date.now();
    for (let r = o === firstOperator ? firstRound : 0; r < ROUNDS && Date.now() - began < 4000; r++) {
      const random = randomSource(Number(options.seed) * 7919 + o * 1009 + r);
      torch.manualSeed(o * 1000 + r);
      const mood = {};
      if (random.chance(0.6)) mood.dtype = random.pick(DTYPES);
      if (random.chance(0.4)) mood.shape = random.pick(SHAPES);
      if (random.chance(0.5)) mood.plain = true;
      const positional = [];
      const named = {};
      let description = "";
      try {
        for (const argument of args) {
          if (argument.preset !== undefined && random.chance(0.5)) {
            if (!argument.keyword) break;
            continue;
          }
          const given = value(random, argument, mood);
          if (given === undefined) continue;
          if (argument.keyword) named[camel(argument.name)] = given;
          else positional.push(given);
        }
        description = `${name}(${[...positional.map((v) => show(v)), ...Object.entries(named).map(([k, v]) => `${k}: ${show(v)}`)].join(", ")})`;
      } catch {
        continue; // an argument could not be made this way
      }
      writeSync(journal, `${o}:${r} ${description.slice(0, 600)}\n`);
      try {
        const result = call(name, ...positional, named);
        // What it gave must be usable: shapes, and values where they are small.
        for (const part of Array.isArray(result) ? result.flat() : [result]) {
          if (!(part instanceof torch.Tensor)) continue;
          void part.dtype;
          if (part.layout === "strided" && part.device === "cpu" && part.numel() < 1000) part.toTypedArray();
          if (part.requiresGrad && part.numel() < 1000 && !part.isLeaf) part.sum().backward();
          spare.push(part);
        }
      } catch (error) {
        if (!(error instanceof torch.LevinError)) writeSync(journal, `?${o}:${r} ${error}\n`);
      }
      torch.setGradEnabled(true);
      torch.setNumThreads(1);
      if (spare.length > 50) spare.splice(0, 25);
    }
  }
  writeSync(journal, "done\n");
  closeSync(journal);
}

// ---------------------------------------------------------------- the parent

function runChild(start, journal, folder) {
  return new Promise((resolve) => {
    const command = `ulimit -v ${options.memory} -c 0; exec "$@"`;
    const flags = Object.entries(options)
      .filter(([name]) => name !== "child" && name !== "journal")
      .map(([name, value]) => `--${name}=${value}`);
    const process_ = spawn(
      "bash",
      ["-c", command, "fuzz", process.execPath, self, ...flags, `--child=${start}`, `--journal=${journal}`],
      {
        cwd: folder,
        stdio: ["ignore", "ignore", "ignore"],
        env: { ...process.env, OMP_NUM_THREADS: "1" },
      },
    );
    let seen = "";
    let since = Date.now();
    const watch = setInterval(() => {
      const last = lastCall(journal).split(" ", 1)[0];
      if (last !== seen) {
        seen = last;
        since = Date.now();
      } else if (last !== "" && Date.now() - since > PATIENCE) {
        process_.kill("SIGKILL");
      }
    }, 1000);
    process_.on("close", (code, signal) => {
      clearInterval(watch);
      resolve(signal ?? (code > 128 ? `signal ${code - 128}` : `exit ${code}`));
    });
  });
}

function lines(journal) {
  try {
    return readFileSync(journal, "utf8").trimEnd().split("\n");
  } catch {
    return [""];
  }
}

function lastCall(journal) {
  return lines(journal).findLast((line) => !line.startsWith("?")) ?? "";
}

async function parent(operators) {
  const folder = mkdtempSync(join(tmpdir(), "levin-fuzz-"));
  const journal = join(folder, "journal");
  let start = "0:0";
  const found = new Map();
  let calls = 0;
  while (true) {
    rmSync(journal, { force: true });
    const end = await runChild(start, journal, folder);
    const written = lines(journal);
    calls += written.filter((line) => /^\d/.test(line)).length;
    for (const line of written) if (line.startsWith("?")) console.log(`not a LevinError ${line.slice(1)}`);
    const last = lastCall(journal);
    if (last === "done") break;
    if (!/^\d/.test(last)) {
      console.error(`a child ended (${end}) before its first call`);
      process.exitCode = 1;
      break;
    }
    const [place, ...rest] = last.split(" ");
    const [o, r] = place.split(":").map(Number);
    const text = rest.join(" ");
    console.log(`${end}: ${text}`);
    const name = operators[o].name;
    found.set(name, (found.get(name) ?? 0) + 1);
    // After a few crashes more of one operator tell nothing new.
    start =
      found.get(name) >= 3
        ? `${operators.findIndex((op, i) => i > o && op.name !== name)}:0`
        : `${o}:${r + 1}`;
    if (start.startsWith("-1")) break;
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(`\n${calls} calls; ${found.size} operators end the process or hang:`);
  for (const [name, count] of [...found].sort()) console.log(`  ${name} (${count})`);
}

const native = (await import("../dist/native.js")).native;
const operators = schemas(native);
if (options.child === undefined) {
  await parent(operators);
} else {
  const torch = await import("../dist/index.js");
  await child(operators, torch);
}
