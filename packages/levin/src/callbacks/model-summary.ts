import { Callback } from "../callback.js";
import { note } from "../messages.js";
import type { LightningModule } from "../module.js";
import { type SummarizeOptions, type Summary, summarize } from "../summary.js";
import type { Trainer } from "../trainer.js";

/** Prints the layers of the module when a fit begins: their names, types, parameters and sizes. */
export class ModelSummary extends Callback {
  readonly #options: SummarizeOptions;

  constructor(options: SummarizeOptions = {}) {
    super();
    this.#options = options;
  }

  override onFitStart(trainer: Trainer, module: LightningModule): void {
    if (this.#options.maxDepth === 0) return;
    const summary = summarize(module, this.#options);
    if (trainer.isGlobalZero) this.show(summary);
  }

  /** Prints a summary; override it to show it in another way. */
  protected show(summary: Summary): void {
    note(`\n${summary}`);
  }
}
