// Writes the typed functions and methods of all operators that PyTorch makes public: src/ops.generated.ts (`torch.*`,
// `torch.linalg`, `torch.fft`, `torch.special`, `Tensor.*`) and src/nn/ops.generated.ts (what torch.nn.functional is made of).
//
//   node scripts/generate-ops.mjs [native_functions.yaml]
//
// The schemas are part of the torch wheel (torchgen/packaged/ATen/native/native_functions.yaml); their place is taken from
// build/libtorch.json when it is not given. What is public says pytorch.generated.json (see list-pytorch.py).
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function schemasPath() {
  if (process.argv[2]) return process.argv[2];
  const record = JSON.parse(readFileSync(join(root, "build/libtorch.json"), "utf8"));
  return join(record.path, "../torchgen/packaged/ATen/native/native_functions.yaml");
}

// ---------------------------------------------------------------- what to generate

const words = (text) => new Set(text.trim().split(/\s+/));

/** Written by hand in tensor.ts or tensor-members.ts. */
const handMadeMethods = words(`
  apply_ backward data dim is_contiguous is_leaf item new_tensor norm numel output_nr qscheme record_stream requires_grad_
  mH mT nonzero polygamma result_type retain_grad retains_grad set_data size stft storage_offset stride to unique_consecutive
  where`);
/** Not methods in PyTorch, where an index does it. */
const furtherMethods = words("slice");
/** Written by hand in one of the files that ops.ts names. */
const handMadeFunctions = words(`
  atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors cartesian_prod cdist chain_matmul einsum full meshgrid norm numel
  nonzero promote_types result_type sparse_bsc_tensor
  sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor sparse_csr_tensor stft sym_constrain_range sym_constrain_range_for_size tensordot unique_consecutive`);
/** Operators that torch.nn.functional is not made of. */
const innerOfNn = /^_|_backward(_|$)|_forward$|_jvp$|^thnn_|^slow_conv|^conv_depthwise3d$|^mkldnn_/;

/** Those that check none of their arguments. */
const unsafe = new Set(
  Array.from(
    readFileSync(join(root, "src/unsafe-operators.ts"), "utf8").matchAll(/^ {2}"aten::(\w+)",$/gm),
    (match) => match[1],
  ),
);

const listing = JSON.parse(readFileSync(join(root, "scripts/pytorch.generated.json"), "utf8")).groups;
const publicFunctions = new Set(listing.torch);
const publicMethods = new Set(listing["torch.Tensor"]);
const namespaces = ["linalg", "fft", "special"].map((name) => ({
  name,
  prefix: `${name}_`,
  members: new Set(listing[`torch.${name}`]),
}));

// ---------------------------------------------------------------- reading schemas

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

/** `Tensor(a!)` is a Tensor as far as its type goes. */
const withoutAlias = (type) => type.replace(/\([a-z!*| >-]*\)/g, "");

function parseArgument(text) {
  const [, type, name, defaultValue] = /^(.+?)\s+(\w+)(?:\s*=\s*(.+))?$/s.exec(text);
  return { type: withoutAlias(type), name, default: defaultValue };
}

function parseReturn(text) {
  const named = /^(.*\S)\s+(\w+)$/s.exec(text);
  return { type: withoutAlias(named ? named[1] : text), name: named?.[2], written: text.includes("!") };
}

function parseSchema(entry) {
  const [, name, overload = "", inside, result] = /^([\w.]+?)(?:\.(\w+))?\((.*)\)\s*->\s*(.+)$/s.exec(
    entry.func,
  );
  const positional = [];
  const keyword = [];
  let list = positional;
  for (const part of splitTop(inside)) {
    if (part === "*") list = keyword;
    else list.push(parseArgument(part));
  }
  const several = result.startsWith("(") && result.endsWith(")") && !/^\([a-z!]+\)/.test(result);
  return {
    name,
    overload,
    positional,
    keyword,
    returns: (several ? splitTop(result.slice(1, -1)) : [result]).map(parseReturn),
    text: entry.func.replace(/\s+/g, " "),
    variants: (entry.variants ?? "function")
      .split("#")[0]
      .split(",")
      .map((variant) => variant.trim()),
    space: entry.python_module ?? "torch",
    factory: keyword.some((argument) => argument.name === "pin_memory"),
  };
}

// ---------------------------------------------------------------- types

const reserved = words("var default new delete function in instanceof typeof void with");
const safe = (name) => (reserved.has(name) ? `${name}_` : name);
const camel = (name) => name.replace(/(?<=[^_])_([^_])/g, (_, c) => c.toUpperCase());

const scalarTypes = {
  Tensor: "Tensor",
  Scalar: "Scalar",
  int: "number",
  SymInt: "number",
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

/** Strings of which only some are allowed, by the argument's name. */
const choices = {
  rounding_mode: ["trunc", "floor"],
  side: ["left", "right"],
  UPLO: ["L", "U"],
  norm: ["forward", "backward", "ortho"],
  interpolation: ["linear", "lower", "higher", "midpoint", "nearest"],
  approximate: ["none", "tanh"],
  padding: ["valid", "same"],
  padding_side: ["left", "right"],
};

/** Integers that may lie beyond what a number holds exactly. */
const wide = words("low high from to min_value max_value");

function argumentType(type, name) {
  if (type.endsWith("?")) {
    const inner = argumentType(type.slice(0, -1), name);
    return inner && `${inner} | null`;
  }
  const list = /^(.+)\[(\d*)\]$/.exec(type);
  if (!list) {
    if (type === "str" && choices[name])
      return choices[name].map((choice) => JSON.stringify(choice)).join(" | ");
    if ((type === "int" || type === "SymInt") && wide.has(name)) return "number | bigint";
    return scalarTypes[type];
  }
  const element = argumentType(list[1], name);
  if (!element) return undefined;
  const array = element.includes("|") ? `readonly (${element})[]` : `readonly ${element}[]`;
  return list[2] && list[1] !== "Tensor" ? `${element} | ${array}` : array;
}

const resultTypes = {
  "()": "void",
  "Tensor[]": "Tensor[]",
  Tensor: "Tensor",
  bool: "boolean",
  int: "number",
  SymInt: "number",
  float: "number",
  Scalar: "number",
  str: "string",
};

/** The result's type, with the names of its parts where it is an object; undefined where TypeScript has no such value. */
function resultOf(schema, self) {
  if (schema.returns.every((part) => part.written)) return { type: self ?? "Tensor" };
  const types = schema.returns.map((part) => resultTypes[part.type]);
  if (types.includes(undefined)) return undefined;
  if (types.length === 1) return { type: types[0] };
  if (!schema.returns.every((part) => part.name)) return { type: `[${types.join(", ")}]` };
  const names = schema.returns.map((part) => camel(part.name));
  return { type: `{ ${names.map((name, i) => `${name}: ${types[i]}`).join("; ")} }`, names };
}

// ---------------------------------------------------------------- signatures

const isIntList = (argument) => /^(int|SymInt)\[\d*\]$/.test(argument.type);
const isRequired = (argument) => argument.default === undefined;

/** The ways to call one schema, as parameter lists: everything by place, or what has a default by name in one object. */
function parameterLists(schema, isMethod) {
  const describe = (argument) => ({
    ...argument,
    parameter: safe(camel(argument.name === "self" ? "input" : argument.name)),
    option: camel(argument.name),
    ts: argumentType(argument.type, argument.name),
  });
  const positional = schema.positional
    .filter((argument) => !isMethod || argument.name !== "self")
    .map(describe);
  const keyword = schema.keyword.map(describe);
  if (!isMethod && withOut.has(schema.name))
    keyword.push(describe({ name: "out", type: "Tensor", default: "None" }));
  if ([...positional, ...keyword].some((argument) => argument.ts === undefined && isRequired(argument)))
    return [];

  const required = positional.filter(isRequired);
  const optional = positional.filter((argument) => !isRequired(argument) && argument.ts !== undefined);
  const mark = (argument) => (isRequired(argument) ? "" : "?");
  const byPlace = (list) => list.map((argument) => `${argument.parameter}${mark(argument)}: ${argument.ts}`);
  const byName = (list) => {
    const fields = list
      .filter((argument) => argument.ts)
      .map((argument) => `${argument.option}${mark(argument)}: ${argument.ts}`);
    if (schema.factory) fields.push("requiresGrad?: boolean");
    if (fields.length === 0) return [];
    return [`options${list.some(isRequired) ? "" : "?"}: { ${fields.join("; ")} }`];
  };

  const lists = [];
  const must = keyword.some(isRequired);
  if (!must || optional.length === 0)
    lists.push([...byPlace([...required, ...optional]), ...byName(keyword)]);
  if (optional.length > 0) lists.push([...byPlace(required), ...byName([...optional, ...keyword])]);
  const tensors = required.filter((argument) => argument.name === "self" || argument.type === "Tensor");
  const others = required.filter((argument) => !tensors.includes(argument));
  if (others.length > 0 && (isMethod ? tensors.length === 0 : tensors.length > 0)) {
    lists.push([...byPlace(tensors), ...byName([...others, ...optional, ...keyword])]);
  }
  // x.view(2, 3), zeros(2, 3, { dtype }): the one list of sizes may be given one by one.
  const sizes = positional.filter(isIntList);
  const [only] = sizes;
  if (
    sizes.length === 1 &&
    required.includes(only) &&
    required.every((argument) => argument === only || argument.name === "self")
  ) {
    const before = byPlace(required.filter((argument) => argument !== only));
    const options = byName([...optional, ...keyword]).map((text) => text.replace(/^options\?/, "options"));
    const rest = `...${only.parameter}: number[]`;
    if (options.length > 0) lists.push([...before, `...args: [${rest}, ${options}]`]);
    lists.push([...before, rest]);
  }
  return lists.map((list) => list.join(", "));
}

/** All signatures of an operator, and the names of its results where they come as an object. */
function signaturesOf(schemas, { isMethod = false, self } = {}) {
  const signatures = [];
  let names;
  for (const schema of schemas) {
    const result = resultOf(schema, self);
    if (!result) continue;
    names ??= result.names;
    for (const parameters of parameterLists(schema, isMethod))
      signatures.push(`(${parameters}): ${result.type}`);
  }
  return { signatures: [...new Set(signatures)], names };
}

const documentation = (schemas, indent = "") =>
  `${indent}/** ${schemas.map((schema) => `\`${schema.text.replaceAll("*/", "* /")}\``).join(`<br>\n${indent} * `)} */`;

// ---------------------------------------------------------------- writing

function grouped(schemas) {
  const groups = new Map();
  for (const schema of schemas) groups.set(schema.name, [...(groups.get(schema.name) ?? []), schema]);
  return groups;
}

const isOut = (schema) =>
  /(^|_)out$/.test(schema.overload) || schema.keyword.some((argument) => argument.name === "out");
const everything = parse(readFileSync(schemasPath(), "utf8")).map(parseSchema);
const schemas = everything.filter(
  (schema) => !isOut(schema) && !unsafe.has(schema.name) && !/Dimname|Stream/.test(schema.text),
);
/** Functions that can write into a tensor that they are given: those of one result. */
const withOut = new Set(
  everything
    .filter((schema) => isOut(schema) && schema.returns.length === 1 && schema.keyword.at(-1)?.name === "out")
    .map((schema) => schema.name),
);
const functions = grouped(schemas.filter((schema) => schema.variants.includes("function")));
const methods = grouped(schemas.filter((schema) => schema.variants.includes("method")));

/** The expression that makes a function, with its type. */
function functionText(name, list, indent) {
  const { signatures, names } = signaturesOf(list);
  if (signatures.length === 0) return undefined;
  const isFactory = list.every(
    (schema) => schema.factory && schema.positional.every((argument) => argument.name !== "self"),
  );
  const made = `${isFactory ? "makeFactory" : "makeFunction"}("aten::${name}"${names ? `, ${JSON.stringify(names)}` : ""})`;
  return {
    made,
    type: `{\n${signatures.map((signature) => `${indent}  ${signature};\n`).join("")}${indent}}`,
  };
}

/** Lines that export each operator as a function of its own name. */
function exportedFunctions(entries) {
  const lines = [];
  const renamed = [];
  for (const [name, list] of entries) {
    const text = functionText(name, list, "");
    if (!text) continue;
    const js = safe(camel(name));
    if (js !== camel(name)) renamed.push(`${js} as ${camel(name)}`);
    lines.push(documentation(list), `export const ${js}: ${text.type} = ${text.made} as never;`, "");
  }
  if (renamed.length > 0) lines.push(`export { ${renamed.join(", ")} };`, "");
  return lines;
}

function namespaceObject({ name: space, prefix, members }) {
  const lines = [`/** The functions of \`torch.${space}\`. */`, `export const ${space} = {`];
  for (const [name, list] of functions) {
    const member = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    const text = members.has(member) ? functionText(name, list, "  ") : undefined;
    if (text)
      lines.push(documentation(list, "  "), `  ${camel(member)}: ${text.made} as never as ${text.type},`);
  }
  return [...lines, "};", ""];
}

function tensorMethods() {
  const types = ["export interface TensorMethods {"];
  const table = [
    "/** What to install as methods: name, operator, names of the results. */",
    "export const methodTable: readonly (readonly [string, string, (readonly string[])?])[] = [",
  ];
  for (const [name, list] of methods) {
    if (!(publicMethods.has(name) || furtherMethods.has(name)) || handMadeMethods.has(name)) continue;
    const { signatures, names } = signaturesOf(list, {
      isMethod: true,
      self: name.endsWith("_") ? "this" : undefined,
    });
    if (signatures.length === 0) continue;
    if (list.some((schema) => schema.positional[0]?.name !== "self")) {
      throw new Error(
        `${name} takes the tensor whose method it is not as its first argument: write it by hand`,
      );
    }
    types.push(documentation(list, "  "), ...signatures.map((signature) => `  ${camel(name)}${signature};`));
    table.push(
      `  [${[camel(name), `aten::${name}`, ...(names ? [names] : [])].map((part) => JSON.stringify(part)).join(", ")}],`,
    );
  }
  return [...types, "}", "", ...table, "];", ""];
}

function write(file, up, lines) {
  const text = lines.join("\n");
  const types = [
    ["Scalar", "complex"],
    ["Device", "device"],
    ["DType, Layout, MemoryFormat", "dtype"],
    ["Generator", "random"],
    ["Tensor", "tensor"],
  ];
  const imports = types.flatMap(([names, from]) => {
    const used = names.split(", ").filter((name) => new RegExp(`\\b${name}\\b`).test(text));
    return used.length > 0 ? [`import type { ${used.join(", ")} } from "${up}${from}.js";`] : [];
  });
  const makers = ["makeFactory", "makeFunction"].filter((name) => text.includes(`${name}(`));
  const head = [
    "// Generated by scripts/generate-ops.mjs from PyTorch's list of operators; do not edit.",
    ...imports,
    `import { ${makers.join(", ")} } from "${up}operator.js";`,
    "",
  ];
  writeFileSync(join(root, file), [...head, text].join("\n"));
}

write("src/ops.generated.ts", "./", [
  ...tensorMethods(),
  ...exportedFunctions(
    [...functions].filter(
      ([name, [first]]) =>
        first.space === "torch" && publicFunctions.has(name) && !handMadeFunctions.has(name),
    ),
  ),
  ...namespaces.flatMap(namespaceObject),
]);
write(
  "src/nn/ops.generated.ts",
  "../",
  exportedFunctions(
    [...functions].filter(([name, [first]]) => first.space === "nn" && !innerOfNn.test(name)),
  ),
);
