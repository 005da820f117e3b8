import { optim } from "@levin/torch";

/** Raises the learning rate from batch to batch up to an end. */
abstract class RisingLR extends optim.lrScheduler.LRScheduler {
  /** The learning rates of the groups. */
  lr: number[] = [];

  constructor(
    optimizer: optim.Optimizer,
    readonly endLr: number,
    readonly numIter: number,
  ) {
    super(optimizer);
    this.initialStep();
  }

  protected abstract rate(base: number, part: number): number;

  protected override getLr(): number[] {
    const part = (this.lastEpoch + 1) / this.numIter;
    this.lr = this.baseLrs.map((base) => (this.lastEpoch > 0 ? this.rate(base, part) : base));
    return this.lr;
  }
}

/** By the same amount each time. */
export class RisingLinearLR extends RisingLR {
  protected override rate(base: number, part: number): number {
    return base + part * (this.endLr - base);
  }
}

/** By the same factor each time. */
export class RisingExponentialLR extends RisingLR {
  protected override rate(base: number, part: number): number {
    return base * (this.endLr / base) ** part;
  }
}
