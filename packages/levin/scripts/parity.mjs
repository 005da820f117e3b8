// Holds levin's declarations against Lightning's (lightning.generated.json) and writes docs/parity.md.
// usage: node packages/levin/scripts/parity.mjs [--check]; --check fails where the page is not up to date or too much is missing.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { API } from "typescript/unstable/sync";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
const lightning = read("lightning.generated.json");
/** Names that are another in levin, and names that levin leaves out, with the reason; by "Class.member" or "Class.member.argument". */
const { renamed, left } = read("parity-exceptions.json");

const CONSTRUCT = 1;
const CALL = 0;
const camelCase = (name) =>
  name.replace(/(?<=[a-zA-Z0-9])_+([a-zA-Z0-9])/g, (_, letter) => letter.toUpperCase());

/** What a program that imports levin and levin/cli sees: classes and functions by name. */
function openDeclarations() {
  const api = new API({ cwd: root });
  const config = `${root}packages/levin/tsconfig.json`;
  const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
  const { checker } = project;
  const files = ["index.ts", "cli/index.ts"].map((file) => `${root}packages/levin/src/${file}`);
  const modules = files.map((file) => checker.getSymbolAtLocation(project.program.getSourceFile(file)));
  const exported = new Map(
    modules.flatMap((module) =>
      checker.getExportsOfModule(module).map((symbol) => [symbol.name, checker.getTypeOfSymbol(symbol)]),
    ),
  );
  const typeOf = (symbol) => checker.getTypeOfSymbol(symbol);

  /** The names a caller can give: parameters, and the properties of those that are options objects. */
  function argumentsOf(signature) {
    const names = new Set();
    for (const parameter of signature?.getParameters() ?? []) {
      names.add(parameter.name.replace(/^_+/, ""));
      const type = checker.getNonNullableType(typeOf(parameter));
      for (const part of type?.getTypes?.() ?? [type]) {
        if (part === undefined || checker.isArrayLikeType(part)) continue;
        for (const property of checker.getPropertiesOfType(part)) names.add(property.name);
      }
    }
    return names;
  }

  const close = () => api.close();
  return {
    close,
    has: (name) => exported.has(name),
    /** A class's members with the arguments of each, and of its constructor. */
    classOf(name) {
      const type = exported.get(name);
      const construct = type && checker.getSignaturesOfType(type, CONSTRUCT);
      if (!construct?.length) return undefined;
      const members = new Map();
      const add = (symbol) =>
        members.set(symbol.name, () => {
          const all = new Set();
          for (const signature of checker.getSignaturesOfType(typeOf(symbol), CALL)) {
            for (const argument of argumentsOf(signature)) all.add(argument);
          }
          return all;
        });
      for (const signature of construct) {
        for (const symbol of checker.getPropertiesOfType(checker.getReturnTypeOfSignature(signature)))
          add(symbol);
      }
      for (const symbol of checker.getPropertiesOfType(type)) if (!members.has(symbol.name)) add(symbol);
      const given = new Set(construct.flatMap((signature) => [...argumentsOf(signature)]));
      return { constructor: given, members };
    },
    functionOf(name) {
      const type = exported.get(name);
      const call = type && checker.getSignaturesOfType(type, CALL);
      return call?.length ? new Set(call.flatMap((signature) => [...argumentsOf(signature)])) : undefined;
    },
  };
}

const counts = { same: 0, left: 0, missing: 0 };
const missing = [];

/** One row of the table: Lightning's name, levin's, and what is to say. */
function row(path, found, ours) {
  const reason =
    left[path] ??
    left[path.split(".").slice(0, 2).join(".")] ??
    left[path.split(".")[0]] ??
    left[`*.${path.split(".").at(-1)}`];
  const state = found ? "same" : reason === undefined ? "missing" : "left";
  counts[state]++;
  if (state === "missing") missing.push(path);
  const name = path.split(".").slice(1).join(".") || path;
  return `| \`${name}\` | ${found ? `\`${ours}\`` : "–"} | ${found ? "" : (reason ?? "**missing**")} |`;
}

const nameOf = (path, name) => renamed[path] ?? renamed[`*.${name}`] ?? camelCase(name);

function rowsOfClass(name, theirs, ours) {
  const className = renamed[name] ?? name;
  const rows = [];
  for (const { name: argument } of theirs.constructor) {
    const path = `${name}.new.${argument}`;
    const own = nameOf(path, argument);
    rows.push(row(path, ours?.constructor.has(own) ?? false, `new ${className}(… ${own})`));
  }
  for (const property of theirs.properties) {
    const path = `${name}.${property}`;
    const own = nameOf(path, property);
    rows.push(row(path, ours?.members.has(own) ?? false, own));
  }
  for (const [method, parameters] of Object.entries(theirs.methods)) {
    const path = `${name}.${method}`;
    const own = nameOf(path, method);
    const member = ours?.members.get(own);
    rows.push(row(path, member !== undefined, `${own}()`));
    if (member === undefined) continue;
    const given = member();
    for (const { name: argument } of parameters) {
      const inner = `${path}.${argument}`;
      const ownArgument = nameOf(inner, argument);
      rows.push(row(inner, given.has(ownArgument), `${own}(… ${ownArgument})`));
    }
  }
  return rows;
}

const levin = openDeclarations();
const body = [];
for (const [section, classes] of Object.entries(lightning.sections)) {
  body.push(`## ${section}\n`);
  for (const [name, theirs] of Object.entries(classes)) {
    const own = renamed[name] ?? name;
    const rows = rowsOfClass(name, theirs, levin.classOf(own));
    if (rows.length === 0) rows.push(row(name, levin.has(own), own));
    body.push(
      `### ${name}\n\n\`${theirs.file}\`\n\n| Lightning | levin | why not |\n|---|---|---|\n${rows.join("\n")}\n`,
    );
  }
}
body.push("## Functions\n\n| Lightning | levin | why not |\n|---|---|---|");
for (const [name, parameters] of Object.entries(lightning.functions)) {
  const own = nameOf(name, name);
  const given = levin.functionOf(own);
  body.push(row(name, given !== undefined, `${own}()`));
  for (const { name: argument } of parameters) {
    const ownArgument = nameOf(`${name}.${argument}`, argument);
    body.push(row(`${name}.${argument}`, given?.has(ownArgument) ?? false, `${own}(… ${ownArgument})`));
  }
}
levin.close();

const total = counts.same + counts.left + counts.missing;
const share = (100 * counts.same) / (total - counts.left);
const head = `<!-- Written by packages/levin/scripts/parity.mjs; do not edit. -->
# levin beside Lightning ${lightning.version}

Every public class of Lightning's trainer with the arguments of its constructor, its properties, its methods and their arguments, and
what levin has in their place. \`new X(… name)\` is an option of the constructor, \`method(… name)\` an argument or option of the method.

${total} names: ${counts.same} are the same, ${counts.left} are left out for a reason, ${counts.missing} are missing. Of those that are not left out, ${share.toFixed(1)} % are there;
of all, ${((100 * counts.same) / total).toFixed(1)} %.
`;
const page = `${head}\n${body.join("\n")}\n`;
const target = `${root}docs/parity.md`;
if (process.argv.includes("--check")) {
  const fresh = readFileSync(target, "utf8") === page;
  if (!fresh) console.error("docs/parity.md is not up to date: run node packages/levin/scripts/parity.mjs");
  if (missing.length > 0) console.error(`missing: ${missing.join(", ")}`);
  process.exitCode = fresh && share >= 97 ? 0 : 1;
} else {
  writeFileSync(target, page);
  console.log(
    `${total} names: ${counts.same} same, ${counts.left} left out, ${counts.missing} missing (${share.toFixed(1)} %)`,
  );
  if (process.argv.includes("--verbose")) console.log(missing.join("\n"));
}
