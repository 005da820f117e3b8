import { existsSync } from "node:fs";
import { join } from "node:path";
import { Callback } from "../callback.js";
import { isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import type { Awaitable, TrainerFunction } from "../hooks.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";
import type { Values } from "./config.js";
import type { LightningArgumentParser } from "./parser.js";

/** Options of {@link SaveConfigCallback}. */
export interface SaveConfigOptions {
  /** The name of the file. Default: "config.yaml". */
  configFilename?: string;
  /** Whether a file that is there already is replaced. Default: false. */
  overwrite?: boolean;
  /** Whether groups that came from files of their own are written to such files. Default: false. */
  multifile?: boolean;
  /** Whether it is written to the folder of the run, besides what `saveConfig` does. Default: true. */
  saveToLogDir?: boolean;
}

/** Writes the configuration of a run beside its logs when it begins. */
export class SaveConfigCallback extends Callback {
  readonly configFilename: string;
  readonly overwrite: boolean;
  readonly multifile: boolean;
  readonly saveToLogDir: boolean;
  alreadySaved = false;

  /**
   * @throws MisconfigurationError where `saveToLogDir` is false and `saveConfig` does nothing, either
   */
  constructor(
    readonly parser: LightningArgumentParser,
    readonly config: Values,
    options: SaveConfigOptions = {},
  ) {
    super();
    this.configFilename = options.configFilename ?? "config.yaml";
    this.overwrite = options.overwrite ?? false;
    this.multifile = options.multifile ?? false;
    this.saveToLogDir = options.saveToLogDir ?? true;
    if (!this.saveToLogDir && !isOverridden(this, "saveConfig", SaveConfigCallback)) {
      throw new MisconfigurationError(
        "SaveConfigCallback({ saveToLogDir: false }) saves nothing: it is for subclasses that define saveConfig.",
      );
    }
  }

  /** @throws MisconfigurationError where there is a configuration of a run before */
  override async setup(trainer: Trainer, module: LightningModule, stage: TrainerFunction): Promise<void> {
    if (this.alreadySaved) return;
    if (this.saveToLogDir && trainer.isGlobalZero) this.#write(trainer);
    if (trainer.isGlobalZero) await this.saveConfig(trainer, module, stage);
    this.alreadySaved = true;
  }

  #write(trainer: Trainer): void {
    const { logDir } = trainer;
    if (logDir === null) return;
    const path = join(logDir, this.configFilename);
    if (!this.overwrite && existsSync(path)) {
      throw new MisconfigurationError(
        `${this.constructor.name} expected ${path} to NOT exist, so that the results of a run before are kept. Delete it, or turn saving ` +
          "off with `new LightningCLI({ saveConfigCallback: null })`, or give `new LightningCLI({ saveConfigKwargs: { overwrite: true } })`.",
      );
    }
    this.parser.save(this.config, path, { overwrite: this.overwrite, multifile: this.multifile });
  }

  /** Override it to save the configuration in another place, too: it is called in the first process only. */
  saveConfig(_trainer: Trainer, _module: LightningModule, _stage: TrainerFunction): Awaitable<void> {}
}
