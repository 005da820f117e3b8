// All tests, in the order in which they are cheapest to fail: lint, types, the fast suite, interop with Python, the oracle.
// `npm test -- --fast` leaves interop out. Runs the set-up first, so it uses nothing but Node itself.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const unknown = process.argv.slice(2).filter((argument) => argument !== "--fast");
if (unknown.length > 0) {
  console.error(`unknown argument ${unknown.join(" ")}\nusage: npm test [-- --fast]`);
  process.exit(2);
}
const fast = process.argv.includes("--fast");

const setup = spawnSync(process.execPath, [join(root, "scripts", "setup.mjs")], { stdio: "inherit" });
if (setup.status !== 0) process.exit(setup.status ?? 1);
// Imported late: an older Node, which the set-up refuses, could not even link these.
const { SetupError, seconds } = await import("../packages/torch/scripts/setup/report.mjs");
const { ensureLoggersPython, ensurePython } = await import("./setup/python.mjs");

/** Runs a script of Node with its output shown; returns the exit code and what it printed on stdout. */
function run(script, args, environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, script), ...args], {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      process.stdout.write(text);
    });
    child.on("close", (code) => resolve({ code, stdout }));
  });
}

/** A program that counts as one test: it passes with exit code 0. */
async function asOne(...programs) {
  for (const [script, ...args] of programs) {
    if ((await run(script, args)).code !== 0) return { passed: 0, failed: 1 };
  }
  return { passed: 1, failed: 0 };
}

async function vitest(project, environment) {
  const folder = mkdtempSync(join(tmpdir(), "levin-test-"));
  const results = join(folder, "results.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
    const { code } = await run(
      "node_modules/vitest/vitest.mjs",
      ["run", "--project", project, "--passWithNoTests", ...reporters],
      environment,
    );
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(results, "utf8"));
    // A file that cannot be loaded fails without a single test, and so does an error outside of all tests.
    const broken = testResults.filter(
      (file) => file.status === "failed" && file.assertionResults.length === 0,
    ).length;
    const failed = numFailedTests + broken;
    const names = testResults.filter((file) => file.status === "failed").flatMap(failuresOf);
    return { names, passed: numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed };
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return { passed: 0, failed: 1 }; // vitest ended before it wrote its results
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One line for each failed test of a file, or for the file itself where it has none. */
function failuresOf({ name, message, assertionResults }) {
  const file = relative(root, name);
  const firstLine = (text) => (text ?? "").split("\n", 1)[0];
  const failed = assertionResults.filter((test) => test.status === "failed");
  if (failed.length === 0) return [`${file}: ${firstLine(message)}`];
  return failed.map((test) => `${file}: ${test.fullName}: ${firstLine(test.failureMessages[0])}`);
}

async function interop() {
  try {
    const python = await ensurePython();
    return await vitest("interop", {
      LEVIN_PYTHON: python,
      LEVIN_LOGGERS_PYTHON: await ensureLoggersPython(),
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    return { passed: 0, failed: 1 };
  }
}

async function oracle(kind, ...folder) {
  const { code, stdout } = await run("oracle/dist/main.js", [kind, ...folder]);
  const counts = [...stdout.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1);
  if (counts === undefined) return { passed: 0, failed: 1 };
  const [passed, failed, skipped] = counts.slice(1).map(Number);
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped };
}

const biome = "node_modules/@biomejs/biome/bin/biome";
const tsc = "node_modules/typescript/bin/tsc";
const suites = {
  lint: () => asOne([biome, "check", "--error-on-warnings", "."]),
  types: () => asOne([tsc, "-b"], [tsc, "-p", "tsconfig.test.json"]),
  fast: () => vitest("fast", {}),
  ...(fast ? {} : { interop }),
  "oracle numerics": () => oracle("numerics"),
  "oracle hooks": () => oracle("hooks"),
  "oracle more hooks": () => oracle("hooks", join(root, "oracle", "fixtures", "hooks-more")),
};

const start = performance.now();
const lines = [];
const total = { passed: 0, failed: 0 };
for (const [name, suite] of Object.entries(suites)) {
  console.log(`\n== ${name}`);
  const began = performance.now();
  const { passed, failed, skipped = 0, names = [] } = await suite();
  total.passed += passed;
  total.failed += failed;
  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  lines.push(`${failed > 0 ? "FAIL" : "ok  "} ${name}: ${counts} (${seconds(performance.now() - began)})`);
  lines.push(...names.map((failure) => `       ${failure}`));
}
console.log(`\n${lines.join("\n")}\nall tests took ${seconds(performance.now() - start)}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);
