import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Runs a script of this folder with the Python that has PyTorch Lightning; gives what it printed. */
export function runPython(script: string, ...args: string[]): Promise<string> {
  const python = process.env.LEVIN_PYTHON;
  if (!python) throw new Error("LEVIN_PYTHON must name a Python with torch and lightning: run `npm test`.");
  return run(python, script, args);
}

/** The Python that has MLflow and W&B. */
export function loggersPython(): string {
  const python = process.env.LEVIN_LOGGERS_PYTHON;
  if (!python)
    throw new Error("LEVIN_LOGGERS_PYTHON must name a Python with mlflow and wandb: run `npm test`.");
  return python;
}

/** Runs a script of this folder with the Python that has MLflow and W&B; gives what it printed. */
export function runLoggersPython(script: string, ...args: string[]): Promise<string> {
  return run(loggersPython(), script, args);
}

async function run(python: string, script: string, args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(python, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${stderr}`);
  return stdout;
}
