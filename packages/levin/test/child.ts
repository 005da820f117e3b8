import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a program did. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Options of {@link runProgram}. */
export interface ProgramOptions {
  args?: string[];
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Is called when there is new output, with all of it. */
  onOutput?: (stdout: string, child: ChildProcess) => void;
}

/** Runs a program, given as the source of a module that may import levin, in a process of its own. */
export async function runProgram(source: string, options: ProgramOptions = {}): Promise<Outcome> {
  const { args = [], env, onOutput } = options;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source, ...args], {
    cwd: options.cwd ?? fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const outcome: Outcome = { code: null, signal: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    outcome.stdout += text;
    onOutput?.(outcome.stdout, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    outcome.stderr += text;
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { ...outcome, code, signal };
}

/** The start of a program that believes that its output goes to a terminal. */
export const asTerminal = `
  for (const stream of [process.stdout, process.stderr]) Object.assign(stream, { isTTY: true, columns: 100, rows: 30 });
`;

const esc = String.fromCharCode(27);

/** What is seen of a terminal's output: the lines as they were drawn, one after the other, without control sequences. */
export function drawnLines(output: string): string[] {
  return output.replace(new RegExp(`${esc}\\[[0-9;?]*[A-Za-z]`, "g"), "").split("\n");
}

/** The lines that stay in the terminal, without those that are drawn over. */
export function keptLines(output: string): string[] {
  return drawnLines(output.replace(new RegExp(`${esc}\\[\\?2026h[^]*?${esc}\\[\\?2026l`, "g"), ""));
}
