import { optim } from "@levin/torch";

/** The scheduler of the same name, with the metric that it watches: a configuration has no other place for it. */
export class ReduceLROnPlateau extends optim.lrScheduler.ReduceLROnPlateau {
  /**
   * @param monitor the metric to watch
   */
  constructor(
    optimizer: optim.Optimizer,
    readonly monitor: string,
    options: optim.lrScheduler.ReduceLROnPlateauOptions = {},
  ) {
    super(optimizer, options);
  }
}
