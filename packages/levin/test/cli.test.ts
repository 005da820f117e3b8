import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serialization, type Tensor } from "@levin/torch";
import { Ajv } from "ajv";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";

const packages = fileURLToPath(new URL("../../../node_modules", import.meta.url));
const bin = fileURLToPath(new URL("../bin/levin.js", import.meta.url));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

let folder: string;
let project: string;
let made: Outcome;

/** Runs a program in the project. */
function node(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  return new Promise((done) => {
    execFile(
      process.execPath,
      args,
      { cwd: existsSync(project) ? project : folder, env },
      (error, stdout, stderr) => done({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
    );
  });
}
const levin = (...args: string[]) => node(bin, ...args);
const read = (...path: string[]) => readFileSync(join(project, ...path), "utf8");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "levin-init-"));
  project = join(folder, "my-project");
  made = await levin("init", "my-project");
  // what `npm install` would do
  for (const name of ["levin", "@levin/torch", "tsx", "typescript", "@types/node", "undici-types"]) {
    const path = join(project, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(join(packages, name), path);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

it("levin init makes a project that type-checks, and never overwrites files", async () => {
  expect(made.stdout).toContain("created src/model.ts\n");
  expect(made.stdout).toMatch(/\ncd my-project\nnpm install\nnpx levin-torch-setup\nnpm run train\n$/);
  expect(JSON.parse(read("package.json"))).toMatchObject({
    name: "my-project",
    dependencies: { levin: "^0.1.0" },
  });
  expect(await node(join(packages, "typescript/bin/tsc"))).toEqual({ code: 0, stdout: "", stderr: "" });

  writeFileSync(join(project, "README.md"), "mine");
  rmSync(join(project, "tsconfig.json"));
  const again = await levin("init");
  expect(again.stdout).toContain("kept    README.md\n");
  expect(again.stdout).toContain("created tsconfig.json\n");
  expect(read("README.md")).toBe("mine");
});

it("levin init writes a schema for editors, which its configuration fits", () => {
  const config = read("config.yaml");
  expect(config).toMatch(/^# yaml-language-server: \$schema=\.\/levin\.schema\.json\n/);
  const check = new Ajv({ strict: false }).compile(JSON.parse(read("levin.schema.json")));
  const values = parse(config);
  expect(check(values), JSON.stringify(check.errors)).toBe(true);
  values.model.initArgs.hidden = "many";
  expect(check(values)).toBe(false);
});

it("a made project trains at once, and its saved configuration gives the same run", async () => {
  const first = await levin("fit", "--config", "config.yaml", "--trainer.maxEpochs", "2");
  expect(first).toMatchObject({ code: 0, stderr: expect.not.stringContaining("Error") });
  const saved = "lightning_logs/version_0/config.yaml";
  expect(parse(read(saved))).toMatchObject({ seedEverything: 0, trainer: { maxEpochs: 2 } });
  expect(await levin("fit", "--config", saved)).toMatchObject({ code: 0 });
  const checkpoint = (version: number) => {
    const checkpoints = join("lightning_logs", `version_${version}`, "checkpoints");
    return join(checkpoints, readdirSync(join(project, checkpoints))[0]!);
  };
  const weights = (version: number) => {
    const { state_dict } = serialization.load(join(project, checkpoint(version))) as {
      state_dict: Record<string, Tensor>;
    };
    return Object.entries(state_dict).map(([name, value]) => [name, value.toArray()]);
  };
  expect(weights(1)).toEqual(weights(0));

  const tested = await levin("test", "--config", saved, "--ckptPath", checkpoint(0));
  expect(tested.stdout).toContain("test_acc");
});

it("a wrong configuration ends levin with code 2, and an error of the program with code 1", async () => {
  const wrong = await levin("fit", "--config", "config.yaml", "--trainer.maxEpoch=3", "--model.lr=x");
  expect(wrong).toEqual({
    code: 2,
    stdout: "",
    stderr:
      "--trainer.maxEpoch: trainer.maxEpoch: Trainer has no such option. Did you mean maxEpochs?\n" +
      '--model.lr: model.lr was given "x"; it is number\n',
  });
  const failed = await levin("fit", "--config", "config.yaml", "--trainer.maxEpochs=-3");
  expect(failed).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^MisconfigurationError: Trainer\(\{ maxEpochs \}\) was given -3/),
  });
});

it("levin fit prints its options with types, defaults and documentation, and the whole configuration", async () => {
  const help = await levin("fit", "--config", "config.yaml", "--help");
  expect(help.stdout).toContain(
    "  --trainer.accumulateGradBatches number\n      Over how many batches gradients add up",
  );
  expect(help.stdout).toContain(
    "  --model.hidden number\n      How many units each hidden layer has. Default: 64.\n",
  );
  expect(help.stdout).toContain(
    "  --data.noise number\n      How far the points are from their spiral. Default: 0.05.\n",
  );
  const adam = await levin("fit", "--optimizer.help", "Adam");
  expect(adam.stdout).toMatch(/^optimizer: Adam\n.*\n/);
  expect(adam.stdout).toContain("  --optimizer.betas [number, number]\n");
  const printed = await levin("fit", "--config", "config.yaml", "--model.lr=0.5", "--print-config");
  expect(parse(printed.stdout)).toMatchObject({
    trainer: { maxEpochs: 20, callbacks: [{ classPath: "ModelCheckpoint" }, { initArgs: { minDelta: 0 } }] },
    model: { initArgs: { lr: 0.5, hidden: 64 } },
  });
});

it("a program of one's own finds the types of its classes", async () => {
  writeFileSync(
    join(project, "src/main.ts"),
    `import { LightningCLI } from "levin/cli";
import { Spirals } from "./data.ts";
import { Classifier } from "./model.ts";

class CLI extends LightningCLI {
  override beforeFit() {
    console.log(JSON.stringify(this.model.hparams));
  }
}
await new CLI({ modelClass: Classifier, datamoduleClass: Spirals, trainerDefaults: { fastDevRun: true } }).start();
`,
  );
  const main = (...args: string[]) => node(join(packages, "tsx/dist/cli.mjs"), "src/main.ts", ...args);
  expect(await main("fit", "--model.hidden", "3")).toMatchObject({
    code: 0,
    stdout: '{"hidden":3,"lr":0.01}\n',
  });
  const wrong = await main("fit", "--model.hiden=3");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toBe(
    "--model.hiden: model.hiden: Classifier has no such option. Did you mean hidden?\n",
  );
});
