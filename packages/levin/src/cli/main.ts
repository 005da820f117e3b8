import { Command } from "commander";

const program = new Command("levin")
  .description("PyTorch Lightning for TypeScript")
  .enablePositionalOptions();

const subcommands: Record<string, string> = {
  fit: "train a module: levin fit --model ./src/model.ts#Model --data ./src/data.ts#Data --trainer.maxEpochs 3",
  validate: "evaluate a module on validation data",
  test: "evaluate a module on test data",
  predict: "predict with a module",
};

for (const [name, description] of Object.entries(subcommands)) {
  program
    .command(name)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .passThroughOptions()
    .argument("[options...]", "`levin fit --help` prints them")
    .action((args: string[]) => run([name, ...args]));
}

program
  .command("schema")
  .description("print the JSON schema of configurations, for editors; takes the options of fit")
  .helpOption(false)
  .allowUnknownOption()
  .passThroughOptions()
  .argument("[options...]")
  .action((args: string[]) => run(["fit", ...args, "--printSchema"]));

program
  .command("init")
  .description("make a small project that trains at once")
  .argument("[folder]", "where; default: the current folder", ".")
  .action(async (folder: string) => {
    const { init } = await import("./init.js");
    init(folder);
  });

program
  .command("doctor")
  .description("print what levin finds here: Node, libtorch, threads, devices")
  .action(async () => {
    const { doctor } = await import("./doctor.js");
    process.exitCode = await doctor();
  });

await program.parseAsync();

async function run(args: string[]): Promise<void> {
  const { LightningCLI } = await import("./lightning-cli.js");
  const { LightningError } = await import("../errors.js");
  try {
    await new LightningCLI({ args }).start();
  } catch (error) {
    // what the program did wrong is told without where in levin it was noticed
    if (!(error instanceof LightningError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
