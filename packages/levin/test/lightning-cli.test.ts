import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { EarlyStopping, type LightningModule, ModelCheckpoint, SimpleProfiler, setQuiet } from "levin";
import {
  type ConfigError,
  type LightningArgumentParser,
  LightningCLI,
  type LightningCLIOptions,
  ReduceLROnPlateau,
  SaveConfigCallback,
} from "levin/cli";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import type { Counter, Points, Regressor } from "./programs/cli.js";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const program = "./test/programs/cli.ts";
const silent = {
  logger: false,
  enableProgressBar: false,
  enableModelSummary: false,
  enableCheckpointing: false,
};
const base: LightningCLIOptions = {
  modelClass: `${program}#Complete`,
  datamoduleClass: `${program}#Points`,
  saveConfigCallback: null,
  trainerDefaults: { ...silent, maxEpochs: 1, defaultRootDir: "will be set" },
};

let folder: string;
beforeEach(() => {
  setQuiet(true);
  folder = mkdtempSync(join(tmpdir(), "levin-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function options(more: LightningCLIOptions = {}): LightningCLIOptions {
  return {
    ...base,
    ...more,
    trainerDefaults: { ...base.trainerDefaults, defaultRootDir: folder, ...more.trainerDefaults },
    parserKwargs: { cwd, exitOnError: false, ...more.parserKwargs },
  };
}

/** Makes the objects only. */
const make = (args: LightningCLIOptions["args"], more: LightningCLIOptions = {}) =>
  new LightningCLI(options({ args, run: false, ...more })).start();

/** Runs a subcommand. */
const run = (args: LightningCLIOptions["args"], more: LightningCLIOptions = {}) =>
  new LightningCLI(options({ args, ...more })).start();

/** Writes a configuration; gives its path as it can be given to `--config`. */
function file(name: string, content: string | object): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : stringify(content));
  return relative(cwd, path);
}

const layers = "--model.layers=[1]";
const given = (cli: LightningCLI) => (cli.model as Regressor).given;

describe("a configuration", () => {
  it("comes from files and flags, of which the later ones win", async () => {
    const first = file("first.yaml", { model: { layers: [1, 2], lr: 0.5 }, data: { batchSize: 2 } });
    const second = file("second.json", '{ "model": { "lr": 0.25 }, "trainer": { "maxSteps": 7 } }');
    const cli = await make(["--model.lr", "9", "-c", first, `--config=${second}`, "--data.count", "6"]);
    expect(given(cli)).toEqual({ lr: 0.25, layers: [1, 2], activation: "relu" });
    expect(cli.datamodule).toMatchObject({ batchSize: 2, count: 6 });
    expect(cli.trainer.maxSteps).toBe(7);
    expect(given(await make(["-c", first, "-c", second, "--model.lr", "1e-3"])).lr).toBe(1e-3);
  });

  it("can be an object", async () => {
    const args = { model: { layers: [3] }, seedEverything: 5 };
    expect(given(await make(args)).layers).toEqual([3]);
    const cli = await run({ subcommand: "fit", fit: args });
    expect(cli.config.seedEverything).toBe(5);
    expect(cli.trainer.currentEpoch).toBe(1);
  });

  it("has files for whole groups, relative to the file that names them", async () => {
    file("model.yaml", { layers: [4] });
    const main = file("main.yaml", { model: "model.yaml", data: { count: 2 } });
    const cli = await make(["--config", main, "--data", file("data.yaml", { batchSize: 1 })]);
    expect(given(cli).layers).toEqual([4]);
    expect(cli.datamodule).toMatchObject({ batchSize: 1, count: 2 });
  });

  it("has a part for each subcommand in a file that stands before it", async () => {
    const both = file("both.yaml", { fit: { model: { layers: [5] } }, test: { model: { layers: [6] } } });
    expect(given(await run(["--config", both, "fit"])).layers).toEqual([5]);
    expect(given(await run(["--config", both, "test"])).layers).toEqual([6]);
  });

  it("comes from environment variables where that is wanted", async () => {
    process.env.APP_MODEL__LAYERS = "[8]";
    process.env.APP_TRAINER__MAX_STEPS = "9";
    try {
      const parserKwargs = { defaultEnv: true, envPrefix: "APP" };
      const cli = await make(["--trainer.maxSteps", "10"], { parserKwargs });
      expect(given(cli).layers).toEqual([8]);
      expect(cli.trainer.maxSteps).toBe(10);
    } finally {
      delete process.env.APP_MODEL__LAYERS;
      delete process.env.APP_TRAINER__MAX_STEPS;
    }
  });

  it("takes text where text is wanted, and nested options", async () => {
    const schedule = ["--model.schedule.warmup=3", "--model.schedule.kind", "12"];
    const cli = await make([layers, ...schedule, "--trainer.precision=32", "--trainer.fastDevRun"]);
    expect(given(cli).schedule).toEqual({ warmup: 3, kind: "12" });
    expect(cli.trainer.fastDevRun).toBe(true);
  });

  it("names classes with their options", async () => {
    const config = {
      model: { classPath: `${program}#Regressor`, initArgs: { layers: [1], encoder: `${program}#Encoder` } },
      trainer: {
        callbacks: [
          { classPath: "EarlyStopping", initArgs: { monitor: "val_loss", patience: 9 } },
          "ModelCheckpoint",
          { classPath: `${program}#Counter`, initArgs: { every: 2 } },
        ],
        profiler: "simple",
        enableCheckpointing: true,
      },
    };
    const cli = await make(config, { modelClass: null, datamoduleClass: null });
    expect(given(cli).encoder).toMatchObject({ width: 2 });
    const [stopping, counter] = cli.trainer.callbacks as unknown as [EarlyStopping, Counter];
    expect(stopping).toBeInstanceOf(EarlyStopping);
    expect(stopping).toMatchObject({ monitor: "val_loss", patience: 9 });
    expect(counter).toMatchObject({ every: 2 });
    expect(cli.trainer.callbacks.at(-1)).toBeInstanceOf(ModelCheckpoint);
    expect(cli.trainer.profiler).toBeInstanceOf(SimpleProfiler);
    expect(cli.datamodule).toBeNull();
  });

  it("is extended by flags: another class keeps the options that it has, too; lists get longer", async () => {
    const list = file("list.yaml", {
      model: { classPath: `${program}#Regressor`, initArgs: { layers: [1], lr: 3 } },
      trainer: { callbacks: [{ classPath: "EarlyStopping", initArgs: { monitor: "a" } }] },
    });
    const cli = await make(
      [
        ...["--config", list, "--model", `${program}#Complete`, "--model.activation", "tanh"],
        ...["--trainer.callbacks+", `${program}#Counter`, "--trainer.callbacks.every", "5"],
        ...["--trainer.callbacks.0.patience=2"],
      ],
      { modelClass: null },
    );
    expect(cli.model.constructor.name).toBe("Complete");
    expect(given(cli)).toMatchObject({ layers: [1], lr: 3, activation: "tanh" });
    expect(cli.trainer.callbacks[0]).toMatchObject({ monitor: "a", patience: 2 });
    expect(cli.trainer.callbacks[1]).toMatchObject({ every: 5 });
  });

  it("can choose subclasses of a class, or have the options of a function", async () => {
    const chosen = { classPath: `${program}#Complete`, initArgs: { layers: [1] } };
    const cli = await make({ model: chosen }, { subclassModeModel: true });
    expect(cli.model.constructor.name).toBe("Complete");
    const made = await make(["--model.size=7"], { modelClass: `${program}#makeRegressor` });
    expect(given(made)).toMatchObject({ lr: 1, layers: [7] });
  });
});

describe("a wrong configuration", () => {
  const errorOf = async (args: string[], more: LightningCLIOptions = {}) =>
    (await make(args, more).catch((error: ConfigError) => error)) as ConfigError;

  it("is told with file, line and column, what is allowed, and what may have been meant", async () => {
    const wrong = file(
      "wrong.yaml",
      `model:
  lr: fast
  layer: [1]
  activation: rely
  schedule: { warmup: soon, kind: a }
  transform: x
data:
  batch_size: 3
trainer:
  callbacks:
    - classPath: EarlyStoping
    - classPath: ModelCheckpoint
      initArgs:
        saveTopK: [1]
    - EarlyStopping
  maxEpoch: 1
`,
    );
    const error = await errorOf(["--config", wrong, "--trainer.maxSteps", "many", "--optimizer=Adem"]);
    expect(error.name).toBe("ConfigError");
    expect(error.message.replaceAll(wrong, "wrong.yaml").replace(/\n +.*/g, "")).toBe(
      [
        '--trainer.maxSteps: trainer.maxSteps was given "many"; it is number',
        '--optimizer: optimizer: there is no Optimizer "Adem". Did you mean Adam? (a class of your own is written ./src/file.ts#Name)',
        "wrong.yaml:1:1: model.layers is required by ./test/programs/cli.ts#Complete: it is number[]",
        'wrong.yaml:2:7: model.lr was given "fast"; it is number',
        "wrong.yaml:3:3: model.layer: ./test/programs/cli.ts#Complete has no such option. Did you mean layers?",
        'wrong.yaml:4:15: model.activation was given "rely"; it is "relu" | "tanh". Did you mean relu?',
        'wrong.yaml:5:23: model.schedule.warmup was given "soon"; it is number',
        "wrong.yaml:6:3: model.transform is a function or an object that only a program can give",
        "wrong.yaml:8:3: data.batch_size: ./test/programs/cli.ts#Points has no such option. Did you mean batchSize?",
        'wrong.yaml:11:18: trainer.callbacks.0: there is no Callback "EarlyStoping". Did you mean EarlyStopping? (a class of your own is written ./src/file.ts#Name)',
        "wrong.yaml:14:19: trainer.callbacks.1.saveTopK was given [1]; it is number",
        "wrong.yaml:15:7: trainer.callbacks.2: EarlyStopping needs initArgs with monitor",
        "wrong.yaml:16:3: trainer.maxEpoch: Trainer has no such option. Did you mean maxEpochs?",
      ].join("\n"),
    );
    expect(error.message).toContain("   16 |   maxEpoch: 1\n      |   ^");
  });

  it("tells what is wrong with files and references", async () => {
    expect((await errorOf(["--config", "no.yaml"])).message).toBe("--config: no.yaml: there is no such file");
    const broken = file("broken.yaml", "model: { lr: 1\ndata: x\n");
    expect((await errorOf(["--config", broken])).message).toMatch(/broken\.yaml:2:1: /);
    const model = (reference: string) => errorOf(["--model", reference], { modelClass: null });
    expect((await model("./src/none.ts#Net")).message).toBe(
      "--model: model: there is no module ./src/none.ts",
    );
    expect((await model(`${program}#Regresor`)).message).toMatch(
      /has no export Regresor; its exports are Encoder, /,
    );
    expect((await model(program)).message).toMatch(/exports several classes: say which, as in /);
    expect((await model(`${program}#Points`)).message).toMatch(/#Points is no LightningModule$/);
    expect((await errorOf([], { modelClass: null })).message).toMatch(
      /^model is required: it is LightningModule/,
    );
  });

  it("tells wrong flags", async () => {
    expect((await errorOf(["model.lr", "3"])).message).toBe("unrecognized arguments: model.lr 3");
    expect((await errorOf([layers, "--mdl.lr", "3"])).message).toMatch(
      /^--mdl\.lr: mdl: a configuration has no such /,
    );
    expect((await errorOf([layers, "--optimizer.lr", "3"])).message).toBe(
      "--optimizer.lr: give the Optimizer first: --optimizer NAME, or --optimizer ./src/file.ts#Name",
    );
    await expect(run(["fits"])).rejects.toThrow(
      "there is no subcommand fits: give one of fit, validate, test, predict",
    );
  });
});

describe("the subcommands", () => {
  it("run the trainer, with the options of its methods", async () => {
    const fit = await run(["fit", layers, "--optimizer", "SGD", "--optimizer.lr", "0.1"]);
    expect(fit.trainer.state).toMatchObject({ fn: "fit", status: "finished" });
    const test = await run(["test", layers, "--verbose", "false"]);
    expect(test.result).toEqual([{ val_loss: expect.any(Number) }]);
    const predict = await run(["predict", layers, "--returnPredictions=false"]);
    expect(predict.result).toBeNull();
    expect((await run(["validate", layers, "--verbose=false"])).trainer.state.fn).toBe("validate");
  });

  it("can be other methods of a trainer of one's own, with something before and after", async () => {
    const calls: unknown[] = [];
    class OwnCLI extends LightningCLI {
      override subcommands() {
        return { ...super.subcommands(), fitOften: ["model", "datamodule"] };
      }
      override beforeInstantiateClasses() {
        calls.push("before the objects");
      }
      override afterInstantiateClasses() {
        calls.push(this.model.constructor.name);
      }
      beforeFitOften() {
        calls.push("before");
      }
      async afterFitOften() {
        calls.push(this.trainer.constructor.name, this.config.times);
      }
    }
    const own = { trainerClass: `${program}#OwnTrainer` };
    await new OwnCLI(options({ ...own, args: ["fitOften", layers, "--times", "1"] })).start();
    expect(calls).toEqual(["before the objects", "Complete", "before", "OwnTrainer", 1]);
  });

  it("go on from a checkpoint with the options that its module was made with", async () => {
    const trainer = ["--trainer.enableCheckpointing=true", "--trainer.maxEpochs=1"];
    const first = await run(["fit", "--model.layers=[1,2]", "--model.lr=3", ...trainer, "--optimizer=SGD"]);
    const ckptPath = first.trainer.checkpointCallback!.bestModelPath;
    const second = await run(["test", layers, "--ckptPath", ckptPath, "--verbose=false"]);
    expect(given(second)).toMatchObject({ layers: [1, 2], lr: 3 });
  });
});

describe("optimizers and schedulers of a configuration", () => {
  const optimizer = { classPath: "AdamW", initArgs: { lr: 0.5, betas: [0.5, 0.6] } };

  it("take the place of the module's own", async () => {
    const lrScheduler = { classPath: "StepLR", initArgs: { stepSize: 1, gamma: 0.5 } };
    const cli = await run({ subcommand: "fit", fit: { model: { layers: [1] }, optimizer, lrScheduler } });
    const [made] = cli.trainer.optimizers;
    expect(made!.constructor.name).toBe("AdamW");
    expect(made!.paramGroups[0]).toMatchObject({ lr: 0.25, betas: [0.5, 0.6] });
    expect(cli.trainer.lrSchedulerConfigs[0]!.scheduler.constructor.name).toBe("StepLR");
  });

  it("have the metric that ReduceLROnPlateau watches", async () => {
    const args = ["fit", layers, "--optimizer=SGD", "--optimizer.lr=1", "--lrScheduler=ReduceLROnPlateau"];
    await expect(run(args)).rejects.toThrow(/lrScheduler: ReduceLROnPlateau needs initArgs with monitor/);
    const cli = await run([...args, "--lrScheduler.monitor=val_loss"]);
    expect(cli.trainer.lrSchedulerConfigs[0]).toMatchObject({ monitor: "val_loss", reduceOnPlateau: true });
    expect(cli.trainer.lrSchedulerConfigs[0]!.scheduler).toBeInstanceOf(ReduceLROnPlateau);
  });

  it("can be of one class, given to the module, or left out", async () => {
    class OwnCLI extends LightningCLI {
      override addArgumentsToParser(parser: LightningArgumentParser) {
        parser.addOptimizerArgs("Adam");
        parser.addLrSchedulerArgs("ExponentialLR");
        parser.setDefaults({ "optimizer.lr": 0.125, "lrScheduler.gamma": 0.5 });
      }
    }
    const cli = await new OwnCLI(options({ args: ["fit", layers, "--optimizer.eps=1"] })).start();
    expect(cli.trainer.optimizers[0]!.paramGroups[0]).toMatchObject({ lr: 0.0625, eps: 1 });
    await expect(
      run(["fit", layers, "--optimizer=Adam"], { autoConfigureOptimizers: false }),
    ).rejects.toThrow(/optimizer: a configuration has no such option/);
  });
});

describe("links", () => {
  class LinkedCLI extends LightningCLI {
    override addArgumentsToParser(parser: LightningArgumentParser) {
      parser.linkArguments("data.batchSize", "model.lr", { computeFn: (size: number) => size / 8 });
      parser.linkArguments("data.dims", "model.layers", {
        applyOn: "instantiate",
        computeFn: (dims: number) => [dims],
      });
    }
  }
  const linked = (args: string[], more: LightningCLIOptions = {}) =>
    new LinkedCLI(options({ run: false, args, ...more })).start();

  it("give options the values of others, or what objects have", async () => {
    expect(given(await linked(["--data.batchSize=2"]))).toMatchObject({ lr: 0.25, layers: [2] });
    expect(given(await linked([]))).toMatchObject({ lr: 0.5, layers: [2] });
    const chosen = { modelClass: null, datamoduleClass: null };
    const cli = await linked(["--data", `${program}#Points`, "--model", `${program}#Complete`], chosen);
    expect(given(cli)).toMatchObject({ lr: 0.5, layers: [2] });
    expect((cli.datamodule as Points).batchSize).toBe(4);
  });

  it("refuse what follows from others, and are not written", async () => {
    await expect(linked(["--model.lr=2"])).rejects.toThrow(
      "--model.lr: model.lr cannot be given: it follows data.batchSize",
    );
    const cli = await linked([]);
    expect(parse(cli.parser.dump(cli.config)).model).toEqual({ activation: "relu", encoder: null });
  });
});

describe("the parser", () => {
  it("takes arguments, groups and defaults of one's own", async () => {
    class OwnCLI extends LightningCLI {
      override addArgumentsToParser(parser: LightningArgumentParser) {
        parser.addArgument("--note", { default: "none", help: "A note." });
        parser.addArgument("--kind", { choices: ["a", "b"], required: true });
        parser.addLightningClassArgs("EarlyStopping", "stopping");
        parser.setDefaults({ "stopping.monitor": "loss" });
      }
    }
    const own = (...args: string[]) => new OwnCLI(options({ run: false, args: [layers, ...args] })).start();
    const cli = await own("--kind", "a", "--stopping.patience", "8");
    expect(cli.config).toMatchObject({ note: "none", kind: "a" });
    expect(cli.trainer.callbacks[0]).toMatchObject({ monitor: "loss", patience: 8 });
    await expect(own("--kind=c")).rejects.toThrow('--kind: kind was given "c"; it is "a" | "b"');
    await expect(own()).rejects.toThrow(/^kind is required/);
  });

  it("has the trainer's defaults, also such that only a program can give", async () => {
    const callback = new EarlyStopping("a");
    const profiler = new SimpleProfiler();
    const trainerDefaults = { maxEpochs: 4, profiler, callbacks: callback };
    const cli = await make([layers, "--trainer.callbacks=ModelSummary"], { trainerDefaults });
    expect(cli.trainer.maxEpochs).toBe(4);
    expect(cli.trainer.profiler).toBe(profiler);
    expect(cli.trainer.callbacks.map((each) => each.constructor.name)).toEqual([
      "ModelSummary",
      "EarlyStopping",
    ]);
  });

  it("writes a configuration with the defaults that the sources tell, and reads it again", async () => {
    const cli = await make([
      layers,
      "--trainer.callbacks+=EarlyStopping",
      "--trainer.callbacks.monitor=loss",
    ]);
    const text = cli.parser.dump(cli.config);
    const values = parse(text);
    expect(values.model).toEqual({ lr: 0.1, activation: "relu", layers: [1], encoder: null });
    expect(values.data).toEqual({ batchSize: 4, count: 8 });
    expect(values.trainer).toMatchObject({
      accumulateGradBatches: 1,
      checkValEveryNEpoch: 1,
      precision: null,
    });
    expect(values.trainer.callbacks[0].initArgs).toMatchObject({ monitor: "loss", patience: 3, mode: "min" });
    const again = await make(["--config", file("again.yaml", text)]);
    expect(again.parser.dump(again.config)).toBe(text);
    const short = parse(cli.parser.dump(cli.config, { skipDefault: true }));
    expect(short.model).toEqual({ layers: [1] });
    expect(cli.parser.dump(cli.config, { comments: true })).toContain("# The learning rate.\n  lr: 0.1\n");
  });

  it("has a JSON schema with the documentation of the options", async () => {
    const { parser } = await make([layers]);
    const text = JSON.stringify(parser.schema);
    expect(parser.schema).toMatchObject({
      type: "object",
      properties: { model: { $ref: expect.any(String) } },
    });
    expect(text).toContain('"lr":{"type":"number","description":"The learning rate.","default":0.1}');
    expect(text).toContain('"enum":["relu","tanh"]');
  });
});

describe("SaveConfigCallback", () => {
  const saving: LightningCLIOptions = {
    saveConfigCallback: SaveConfigCallback,
    modelClass: `${program}#Complete`,
  };
  const fit = (args: string[] = [], more: LightningCLIOptions = {}) =>
    run(["fit", layers, "--seedEverything=3", ...args], { ...saving, ...more });
  const saved = () => parse(readFileSync(join(folder, "config.yaml"), "utf8"));

  it("writes the configuration of a run, which repeats it", async () => {
    const first = await fit(["--trainer.maxEpochs=2"]);
    expect(saved()).toMatchObject({ seedEverything: 3, trainer: { maxEpochs: 2 }, model: { layers: [1] } });
    const weights = (model: LightningModule) =>
      Object.values(model.stateDict()).map((each) => each.toArray());
    const args = ["fit", "--config", relative(cwd, join(folder, "config.yaml"))];
    const second = await run(args, { ...saving, saveConfigCallback: null });
    expect(weights(second.model)).toEqual(weights(first.model));
  });

  it("keeps the one of a run before, unless it may replace it", async () => {
    await fit();
    await expect(fit()).rejects.toThrow(/SaveConfigCallback expected .*config\.yaml to NOT exist/);
    await fit(["--model.lr=7"], { saveConfigKwargs: { overwrite: true } });
    expect(saved().model.lr).toBe(7);
    await fit([], { saveConfigKwargs: { configFilename: "other.yaml" } });
    expect(existsSync(join(folder, "other.yaml"))).toBe(true);
  });

  it("writes nothing in a run that leaves nothing behind", async () => {
    await fit(["--trainer.fastDevRun=true"]);
    expect(existsSync(join(folder, "config.yaml"))).toBe(false);
  });

  it("writes groups that came from files of their own to such files", async () => {
    const data = file("points.yaml", { count: 4 });
    const root = join(folder, "run");
    await fit(["--data", data], {
      saveConfigKwargs: { multifile: true },
      trainerDefaults: { defaultRootDir: root },
    });
    expect(parse(readFileSync(join(root, "config.yaml"), "utf8")).data).toBe("points.yaml");
    expect(parse(readFileSync(join(root, "points.yaml"), "utf8"))).toEqual({ batchSize: 4, count: 4 });
  });

  it("can save elsewhere", async () => {
    const texts: string[] = [];
    class Elsewhere extends SaveConfigCallback {
      override saveConfig(): void {
        texts.push(this.parser.dump(this.config, { skipDefault: true }));
      }
    }
    await fit([], { saveConfigCallback: Elsewhere, saveConfigKwargs: { saveToLogDir: false } });
    expect(texts).toHaveLength(1);
    expect(existsSync(join(folder, "config.yaml"))).toBe(false);
    await expect(fit([], { saveConfigKwargs: { saveToLogDir: false } })).rejects.toThrow(/saves nothing/);
  });
});
