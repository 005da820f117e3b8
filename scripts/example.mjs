// Runs the example that is named: `npm run example -- NAME [options]`. Without a name it lists them.
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const examples = new URL("../examples/", import.meta.url);
const mainOf = (name) => new URL(`${name}/dist/main.js`, examples);
const names = readdirSync(examples).filter((name) => existsSync(mainOf(name)));

const [name] = process.argv.splice(2, 1);
if (!names.includes(name)) {
  const problem = name === undefined ? "" : `There is no example "${name}". `;
  console.error(`${problem}npm run example -- NAME, where NAME is one of: ${names.join(", ")}`);
  process.exit(1);
}
process.argv[1] = fileURLToPath(mainOf(name));
await import(mainOf(name));
