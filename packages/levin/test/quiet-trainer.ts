import { Trainer, type TrainerOptions } from "levin";

/** A trainer on the CPU, for one epoch, that shows, logs and saves only what it is told to. */
export function quietTrainer(options: TrainerOptions = {}): Trainer {
  return new Trainer({
    accelerator: "cpu",
    maxEpochs: 1,
    logger: false,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
    ...options,
  });
}
