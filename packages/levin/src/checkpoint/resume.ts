import { ModelCheckpoint } from "../callbacks/model-checkpoint.js";
import { SLURMEnvironment } from "../environments/slurm.js";
import { MisconfigurationError } from "../errors.js";
import type { TrainerFunction } from "../hooks.js";
import { warn } from "../messages.js";
import type { Trainer } from "../trainer.js";
import { fileSystemOf } from "./file-system.js";
import { findHpcCheckpoint } from "./requeue.js";

/** The file that a run begins from: what `ckptPath` names, or null for none. */
export async function selectCheckpointPath(
  trainer: Trainer,
  fn: TrainerFunction,
  given: string | null,
  moduleGiven: boolean,
): Promise<string | null> {
  let path = given;
  if (path === null && SLURMEnvironment.detect()) {
    // a job that was queued again goes on by itself
    path = await findHpcCheckpoint(trainer.defaultRootDir);
    if (path !== null) return path;
  }
  if (path === null && fn === "fit" && exceptionCheckpoints(trainer).length > 0) path = "last";
  if (path === null) {
    if (moduleGiven) return null;
    path = "best";
    warn(
      `trainer.${fn}() was called without a module: the best weights of the last fit are used. ` +
        `Pass ckptPath: "best" (or "last") to say so.`,
    );
  }
  if (path === "best") {
    const callback = trainer.checkpointCallback;
    if (trainer.checkpointCallbacks.length > 1) {
      warn(
        `trainer.${fn}({ ckptPath: "best" }): there are several checkpoint callbacks; the first one's best is used.`,
      );
    }
    if (!callback) {
      throw new MisconfigurationError(
        `trainer.${fn}({ ckptPath: "best" }): the trainer has no ModelCheckpoint callback.`,
      );
    }
    if (!callback.bestModelPath) {
      throw new MisconfigurationError(
        trainer.fastDevRun
          ? `trainer.${fn}({ ckptPath: "best" }) cannot be used with fastDevRun, which saves nothing: pass a checkpoint's path.`
          : `trainer.${fn}({ ckptPath: "best" }): the ModelCheckpoint has not saved a best model.`,
      );
    }
    return callback.bestModelPath;
  }
  if (path === "last") return findLast(trainer, fn);
  if (path === "hpc") {
    const found = await findHpcCheckpoint(trainer.defaultRootDir);
    if (found !== null) return found;
    throw new MisconfigurationError(
      `trainer.${fn}({ ckptPath: "hpc" }): there is no hpc_ckpt_N.ckpt in ${trainer.defaultRootDir}. Pass a checkpoint's path.`,
    );
  }
  if (path === "") {
    throw new MisconfigurationError(
      `trainer.${fn}({ ckptPath: "" }): give the path of a checkpoint, "best", "last" or "hpc".`,
    );
  }
  return path;
}

/** The newest of the last checkpoints: those of `saveLast`, and those that were saved on an exception. */
async function findLast(trainer: Trainer, fn: TrainerFunction): Promise<string | null> {
  const candidates = exceptionCheckpoints(trainer);
  for (const callback of trainer.checkpointCallbacks) {
    if (callback instanceof ModelCheckpoint)
      candidates.push(...(await callback.findLastCheckpoints(trainer)));
  }
  let newest: { path: string; modified: number } | null = null;
  for (const path of candidates) {
    const separator = path.lastIndexOf("/");
    const files = await fileSystemOf(path).list(separator < 0 ? "." : path.slice(0, separator));
    const entry = files.find(({ name }) => name === path.slice(separator + 1));
    if (entry && (!newest || entry.modified > newest.modified)) newest = { path, modified: entry.modified };
  }
  if (newest) return newest.path;
  warn(
    `trainer.${fn}({ ckptPath: "last" }): there is no last checkpoint yet, so none is loaded. Set saveLast in ModelCheckpoint.`,
  );
  return null;
}

/** Where OnExceptionCheckpoint callbacks save. */
function exceptionCheckpoints(trainer: Trainer): string[] {
  return trainer.checkpointCallbacks.flatMap((callback) => {
    const { ckptPath } = callback as { ckptPath?: unknown };
    return typeof ckptPath === "string" ? [ckptPath] : [];
  });
}
