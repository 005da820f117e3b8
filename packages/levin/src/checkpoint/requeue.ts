import { spawn } from "node:child_process";
import { once } from "node:events";
import { finalizeLoggers } from "../loggers/logger.js";
import { note, warn } from "../messages.js";
import type { Trainer } from "../trainer.js";
import { fileSystemOf, joinPath } from "./file-system.js";

const prefix = "hpc_ckpt_";

/** The newest checkpoint of a job that was queued again; null where there is none. */
export async function findHpcCheckpoint(folder: string): Promise<string | null> {
  const version = await lastVersion(folder);
  return version === null ? null : joinPath(folder, `${prefix}${version}.ckpt`);
}

/** Saves where the run is, and tells SLURM to queue the job again: it then goes on from there. */
export async function requeue(trainer: Trainer): Promise<void> {
  await finalizeLoggers(trainer.loggers, "finished");
  const folder = trainer.defaultRootDir;
  const version = ((await lastVersion(folder)) ?? 0) + 1;
  await trainer.saveCheckpoint(joinPath(folder, `${prefix}${version}.ckpt`));
  await trainer.settleStorage();
  if (!trainer.isGlobalZero) return;

  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: task, SLURM_JOB_ID: job } = process.env;
  const id = array === undefined ? job : `${array}_${task}`;
  if (id === undefined || !/^[0-9_-]+$/.test(id)) {
    warn(`The SLURM job cannot be queued again: SLURM_JOB_ID is ${id ?? "not set"}.`);
    return;
  }
  const code = await runScontrol(id);
  if (code === 0) note(`The SLURM job ${id} was queued again.`);
  else warn(`The SLURM job ${id} could not be queued again: scontrol ended with code ${code}.`);
}

async function lastVersion(folder: string): Promise<number | null> {
  const files = await fileSystemOf(folder).list(folder);
  const versions = files.flatMap(({ name }) => {
    const match = /^hpc_ckpt_(\d+)\.ckpt$/.exec(name);
    return match ? [Number(match[1])] : [];
  });
  return versions.length > 0 ? Math.max(...versions) : null;
}

async function runScontrol(id: string): Promise<number> {
  const child = spawn("scontrol", ["requeue", id], { stdio: "inherit" });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    return code ?? 1;
  } catch (error) {
    warn(`scontrol could not be started: ${(error as Error).message}.`);
    return 127;
  }
}
