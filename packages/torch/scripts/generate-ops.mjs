// Writes src/ops.generated.ts: the typed functions and methods of all public operators, from PyTorch's operator list.
//
//   node scripts/generate-ops.mjs [native_functions.yaml]
//
// The list is part of the torch wheel (torchgen/packaged/ATen/native/native_functions.yaml); its place is taken from
// build/libtorch.json when it is not given.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function listPath() {
  if (process.argv[2]) return process.argv[2];
  const record = JSON.parse(readFileSync(join(root, "build/libtorch.json"), "utf8"));
  return join(record.path, "../torchgen/packaged/ATen/native/native_functions.yaml");
}

/** Written by hand in tensor.ts or ops.ts, or without meaning here. */
const handMadeMethods = new Set(
  (
    "to size stride numel item dim backward is_contiguous storage_offset requires_grad_ retain_grad set_data is_leaf output_nr " +
    "is_same_size rename rename_ align_to align_as refine_names numpy_T matrix_H mT mH bool"
  ).split(" "),
);
const handMadeFunctions = new Set(["full", "size", "stride", "numel", "to", "item", "dim", "from_file", "is_same_size", "scalar_tensor"]);
const internal =
  /^_|_backward(_|$)|^cudnn_|^miopen_|^mkldnn_|^mps_|^fbgemm_|^q_|_forward$|^thnn_|^slow_conv|^conv_depthwise3d$|^native_(?!channel_shuffle|norm$)|_for_(c|python)|^sym_|^record_stream$|^to_mkldnn|^cudnn|_no_rank_check$|^nested_to|^data$|_copy$|^unsafe_|^lift/;

const reserved = new Set("var default new delete function in instanceof typeof void with".split(" "));

function camel(name) {
  return name.replace(/(?<=[^_])_([^_])/g, (_, c) => c.toUpperCase());
}

/** Splits at the commas that are not inside brackets or quotes. */
function splitTop(text) {
  const parts = [];
  let depth = 0;
  let quoted = false;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "'" || c === '"') quoted = !quoted;
    if (quoted) continue;
    if (c === "(" || c === "[") depth++;
    if (c === ")" || c === "]") depth--;
    if (c === "," && depth === 0) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  const last = text.slice(from).trim();
  if (last) parts.push(last);
  return parts;
}

function parseArgument(text) {
  const match = /^(.+?)\s+(\w+)(?:\s*=\s*(.+))?$/s.exec(text);
  const type = match[1].replace(/\([a-z!*| >-]*\)/g, "");
  return { type, name: match[2], default: match[3], written: match[1].includes("!") };
}

function parseSchema(entry) {
  const match = /^([\w.]+?)(?:\.(\w+))?\((.*)\)\s*->\s*(.+)$/s.exec(entry.func);
  const [, name, overload = "", inside, result] = match;
  const positional = [];
  const keyword = [];
  let list = positional;
  for (const part of splitTop(inside)) {
    if (part === "*") list = keyword;
    else list.push(parseArgument(part));
  }
  const returns = (result.startsWith("(") && result.endsWith(")") && !/^\([a-z!]+\)/.test(result) ? splitTop(result.slice(1, -1)) : [result]).map((part) => {
    const named = /^(.*\S)\s+(\w+)$/s.exec(part);
    const type = (named ? named[1] : part).replace(/\([a-z!*| >-]*\)/g, "");
    return { type, name: named?.[2], written: part.includes("!") };
  });
  return { name, overload, positional, keyword, returns, entry };
}

const scalarTypes = {
  Tensor: "Tensor",
  Scalar: "Scalar",
  int: "number | bigint",
  SymInt: "number | bigint",
  float: "number",
  bool: "boolean",
  str: "string",
  ScalarType: "DType",
  Layout: "Layout",
  MemoryFormat: "MemoryFormat",
  Device: "Device",
  DeviceIndex: "number",
  Generator: "Generator",
};

function argumentType(type) {
  if (type.endsWith("?")) {
    const inner = argumentType(type.slice(0, -1));
    return inner && `${inner} | null`;
  }
  const list = /^(.+)\[(\d*)\]$/.exec(type);
  if (!list) return scalarTypes[type];
  const element = list[1] === "int" || list[1] === "SymInt" ? "number" : argumentType(list[1]);
  if (!element) return undefined;
  const array = element.includes("|") ? `readonly (${element})[]` : `readonly ${element}[]`;
  return list[2] && list[1] !== "Tensor" ? `${element} | ${array}` : array;
}

function resultType(type) {
  if (type === "()") return "void";
  if (/^Tensor\[\]$/.test(type)) return "Tensor[]";
  const types = { Tensor: "Tensor", bool: "boolean", int: "number", SymInt: "number", float: "number", Scalar: "number", ScalarType: "number", str: "string" };
  return types[type];
}

function returnsOf(schema, self) {
  if (schema.returns.every((r) => r.written)) return { type: self ?? "Tensor" };
  const types = schema.returns.map((r) => resultType(r.type));
  if (types.some((t) => t === undefined)) return undefined;
  if (types.length === 1) return { type: types[0] };
  if (schema.returns.every((r) => r.name)) {
    const names = schema.returns.map((r) => camel(r.name));
    return { type: `{ ${names.map((n, i) => `${n}: ${types[i]}`).join("; ")} }`, names };
  }
  return { type: `[${types.join(", ")}]` };
}

const safe = (name) => (reserved.has(name) ? `${name}_` : name);

/** The ways to call one schema, as parameter lists. */
function forms(schema, isMethod) {
  const positional = isMethod ? schema.positional.filter((a) => a.name !== "self") : schema.positional;
  const factory = schema.keyword.some((a) => a.name === "pin_memory");
  const typed = (a) => ({ ...a, js: safe(camel(a.name === "self" ? "input" : a.name)), option: camel(a.name), ts: argumentType(a.type) });
  const all = positional.map(typed);
  const keyword = schema.keyword.map(typed);
  if ([...all, ...keyword].some((a) => a.ts === undefined && a.default === undefined)) return [];
  const required = all.filter((a) => a.default === undefined);
  const optional = all.filter((a) => a.default !== undefined && a.ts !== undefined);
  const needed = keyword.some((a) => a.default === undefined);
  const optionList = (list) => {
    const fields = list.filter((a) => a.ts !== undefined).map((a) => `${a.option}${a.default === undefined ? "" : "?"}: ${a.ts}`);
    if (factory) fields.push("requiresGrad?: boolean");
    return fields.length ? `{ ${fields.join("; ")} }` : undefined;
  };
  const positionalText = (list) => list.map((a) => `${a.js}${a.default === undefined ? "" : "?"}: ${a.ts}`);
  const withOptions = (parameters, options, must) => [...parameters, ...(options ? [`options${must ? "" : "?"}: ${options}`] : [])].join(", ");
  const result = [withOptions(positionalText([...required, ...optional]), optionList(keyword), needed && optional.length === 0)];
  if (needed && optional.length > 0) result.pop();
  if (optional.length > 0) result.push(withOptions(positionalText(required), optionList([...optional, ...keyword]), needed));
  const byName = required.filter((a) => a.name !== "self" && a.type !== "Tensor");
  const first = required.filter((a) => a.name === "self" || a.type === "Tensor");
  if (isMethod && byName.length === required.length && required.length > 0) {
    result.push(withOptions([], optionList([...required, ...optional, ...keyword]), true));
  } else if (!isMethod && byName.length > 0 && first.length > 0 && first.length + byName.length === required.length) {
    result.push(withOptions(positionalText(first), optionList([...byName, ...optional, ...keyword]), true));
  }
  const lists = all.filter((a) => /^(int|SymInt)\[\d*\]$/.test(a.type));
  if (lists.length === 1 && required.filter((a) => a.name !== "self").length === 1 && required.includes(lists[0])) {
    const before = required.filter((a) => a.name === "self");
    result.push([...positionalText(before), `...${lists[0].js}: number[]`].join(", "));
  }
  return [...new Set(result)];
}

const schemas = parse(readFileSync(listPath(), "utf8"))
  .map(parseSchema)
  .filter((s) => s.overload !== "out" && !/_out$|^out_|out$/.test(s.overload || "") && !s.entry.func.includes("Dimname") && !s.entry.func.includes("Stream"));

function group(list) {
  const groups = new Map();
  for (const schema of list) groups.set(schema.name, [...(groups.get(schema.name) ?? []), schema]);
  return groups;
}

const variants = (s) => (s.entry.variants ?? "function").split("#")[0].split(",").map((v) => v.trim());
const isPublic = (s) => !internal.test(s.name);
const namespaced = { linalg: /^linalg_/, fft: /^fft_/, special: /^special_/ };

const lines = [];
const methodTable = [];

function documentation(list) {
  return `/** ${list.map((s) => `\`${s.entry.func.replace(/\s+/g, " ").replaceAll("*/", "* /")}\``).join("<br>\n   * ")} */`;
}

function callType(list, isMethod, self) {
  const signatures = [];
  let names;
  for (const schema of list) {
    const result = returnsOf(schema, self);
    if (!result) continue;
    names ??= result.names;
    for (const parameters of forms(schema, isMethod)) signatures.push(`(${parameters}): ${result.type}`);
  }
  return { signatures: [...new Set(signatures)], names };
}

lines.push("export interface TensorMethods {");
for (const [name, list] of group(schemas.filter((s) => isPublic(s) && variants(s).includes("method")))) {
  if (handMadeMethods.has(name)) continue;
  const self = name.endsWith("_") ? "this" : undefined;
  const { signatures, names } = callType(list, true, self);
  if (signatures.length === 0) continue;
  lines.push(`  ${documentation(list)}`);
  for (const signature of signatures) lines.push(`  ${camel(name)}${signature};`);
  methodTable.push([camel(name), `aten::${name}`, names]);
}
lines.push("}", "");

const literal = (names) => (names ? `, ${JSON.stringify(names)}` : "");

function functionEntry(name, list) {
  const { signatures, names } = callType(list, false);
  if (signatures.length === 0) return undefined;
  return { names, type: signatures.length === 1 ? signatures[0].replace(/\): ([^)]*)$/s, ") => $1") : undefined, signatures };
}

const exported = [];
for (const [name, list] of group(schemas.filter((s) => isPublic(s) && variants(s).includes("function") && (!s.entry.python_module || s.entry.python_module === "nn")))) {
  if (handMadeFunctions.has(name) || Object.values(namespaced).some((n) => n.test(name)) || /^(sparse|nested)_/.test(name)) continue;
  const entry = functionEntry(name, list);
  if (!entry) continue;
  const js = safe(camel(name));
  exported.push([js, camel(name)]);
  lines.push(documentation(list), `export const ${js}: {`);
  for (const signature of entry.signatures) lines.push(`  ${signature};`);
  lines.push(`} = makeFunction("aten::${name}"${literal(entry.names)}) as never;`, "");
}

for (const [space, prefix] of Object.entries(namespaced)) {
  lines.push(`/** The functions of \`torch.${space}\`. */`, `export const ${space} = {`);
  for (const [name, list] of group(schemas.filter((s) => isPublic(s) && prefix.test(s.name) && variants(s).includes("function")))) {
    const entry = functionEntry(name, list);
    if (!entry) continue;
    lines.push(`  ${documentation(list)}`, `  ${camel(name.replace(prefix, ""))}: makeFunction("aten::${name}"${literal(entry.names)}) as never as {`);
    for (const signature of entry.signatures) lines.push(`    ${signature};`);
    lines.push("  },");
  }
  lines.push("};", "");
}

const renamed = exported.filter(([js, name]) => js !== name);
if (renamed.length) lines.push(`export { ${renamed.map(([js, name]) => `${js} as ${name}`).join(", ")} };`, "");

lines.push("/** What to install as methods: name, operator, names of the results. */", "export const methodTable: readonly (readonly [string, string, (readonly string[])?])[] = [");
for (const [js, name, names] of methodTable) lines.push(`  [${JSON.stringify(js)}, ${JSON.stringify(name)}${literal(names)}],`);
lines.push("];", "");

const header = [
  "// Generated by scripts/generate-ops.mjs from PyTorch's list of operators; do not edit.",
  'import type { Scalar } from "./complex.js";',
  'import type { Device } from "./device.js";',
  'import type { DType, Layout, MemoryFormat } from "./dtype.js";',
  'import { makeFunction } from "./operator.js";',
  'import type { Generator } from "./random.js";',
  'import type { Tensor } from "./tensor.js";',
  "",
];
const target = join(root, "src/ops.generated.ts");
writeFileSync(target, [...header, ...lines].join("\n"));
console.log(`${exported.length} functions, ${methodTable.length} methods, ${existsSync(target) ? readFileSync(target).length : 0} bytes`);
