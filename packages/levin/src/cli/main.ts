import { Command } from "commander";
import { doctor } from "./doctor.js";

const program = new Command("levin").description("PyTorch Lightning for TypeScript");

program
  .command("doctor")
  .description("print what levin finds here: Node, libtorch, threads, devices")
  .action(async () => {
    process.exitCode = await doctor();
  });

await program.parseAsync();
