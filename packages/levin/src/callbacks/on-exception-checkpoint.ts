import { checkStrings } from "../argument-checks.js";
import { joinPath } from "../checkpoint/file-system.js";
import { MisconfigurationError } from "../errors.js";
import type { Awaitable } from "../hooks.js";
import type { Trainer } from "../trainer.js";
import { Checkpoint } from "./checkpoint.js";

/** Saves a checkpoint when a run ends by an error. A run that ends well removes it. */
export class OnExceptionCheckpoint extends Checkpoint {
  readonly dirpath: string;
  readonly filename: string;

  /**
   * @param dirpath the folder of the file
   * @param options `filename` (default "on_exception"): its name, without the extension
   */
  constructor(dirpath: string, options: { filename?: string } = {}) {
    super();
    const { filename = "on_exception" } = options;
    checkStrings("OnExceptionCheckpoint", { dirpath, filename });
    this.dirpath = dirpath;
    this.filename = filename;
    if (this.filename === "") {
      throw new MisconfigurationError("OnExceptionCheckpoint: filename is empty; give it a name.");
    }
  }

  /** The file's path. */
  get ckptPath(): string {
    return joinPath(this.dirpath, `${this.filename}.ckpt`);
  }

  override onException(trainer: Trainer): Awaitable<void> {
    return trainer.saveCheckpoint(this.ckptPath);
  }

  override teardown(trainer: Trainer): Awaitable<void> {
    return trainer.removeCheckpoint(this.ckptPath);
  }
}
