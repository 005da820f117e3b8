import { type Checkpoint, dumpCheckpoint, restoreModules, restoreTraining } from "../checkpoint/layout.js";
import type { Trainer } from "../trainer.js";
import { mapTensors } from "../tree.js";

/** The whole state of a run, in the memory of the CPU: to go back to it after something was tried out. */
export class Snapshot {
  readonly #checkpoint: Checkpoint;

  constructor(readonly trainer: Trainer) {
    const checkpoint = dumpCheckpoint(trainer, trainer.run.module, false);
    // the run is not gone on with: what its generators and loaders were at does not matter
    delete checkpoint.levin;
    this.#checkpoint = mapTensors(checkpoint, (tensor) => tensor.detach().to({ device: "cpu", copy: true }));
  }

  /** Goes back to the state. */
  restore(): void {
    const { trainer } = this;
    restoreModules(trainer, trainer.run.module, this.#checkpoint);
    restoreTraining(trainer, this.#checkpoint);
  }
}
