import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import { ModuleList, Sequential } from "./container.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";

/** Options of {@link AdaptiveLogSoftmaxWithLoss}, in the order of PyTorch's positional arguments. */
export interface AdaptiveLogSoftmaxWithLossOptions extends FactoryOptions {
  /** By what the features of each cluster are fewer than those of the one before. Default: 4. */
  divValue?: number;
  /** Whether the head has a bias. Default: false. */
  headBias?: boolean;
}

/** What {@link AdaptiveLogSoftmaxWithLoss} returns: the log probability of each target, and the mean loss. */
export type AdaptiveLogSoftmaxOutput = [output: Tensor, loss: Tensor];

/**
 * The log softmax over many classes whose frequencies differ much: frequent ones are in the head, rare ones in clusters that
 * are computed only where they are needed. Classes are to be numbered by frequency.
 *
 * Shapes: input `(N, inFeatures)` or `(inFeatures)`, target `(N)` or `()`, output as the target.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html
 * @see https://arxiv.org/abs/1609.04309
 */
export class AdaptiveLogSoftmaxWithLoss extends Module {
  readonly inFeatures: number;
  readonly nClasses: number;
  /** Where each cluster ends; the head ends at the first one. */
  readonly cutoffs: number[];
  readonly divValue: number;
  readonly headBias: boolean;
  head: Linear;
  tail: ModuleList<Sequential>;

  /** @param cutoffs at which classes the clusters begin */
  constructor(
    inFeatures: number,
    nClasses: number,
    cutoffs: readonly number[],
    options: AdaptiveLogSoftmaxWithLossOptions = {},
  ) {
    super();
    const rising = cutoffs.every((cutoff, i) => Number.isInteger(cutoff) && cutoff > (cutoffs[i - 1] ?? 0));
    if (cutoffs.length === 0 || !rising || (cutoffs.at(-1) as number) > nClasses - 1) {
      throw new ArgumentError(
        `cutoffs should be unique, positive integers in increasing order, each between 1 and nClasses - 1 (${nClasses - 1}), but got [${cutoffs.join(", ")}].`,
      );
    }
    this.inFeatures = integer(inFeatures, "inFeatures");
    this.nClasses = integer(nClasses, "nClasses");
    this.cutoffs = [...cutoffs, nClasses];
    this.divValue = options.divValue ?? 4;
    this.headBias = options.headBias ?? false;
    const made = factory(options);
    this.head = new Linear(inFeatures, this.shortlistSize + cutoffs.length, { ...made, bias: this.headBias });
    this.tail = new ModuleList(
      cutoffs.map((cutoff, i) => {
        const hidden = Math.floor(inFeatures / this.divValue ** (i + 1));
        const classes = (this.cutoffs[i + 1] as number) - cutoff;
        return new Sequential(
          new Linear(inFeatures, hidden, { ...made, bias: false }),
          new Linear(hidden, classes, { ...made, bias: false }),
        );
      }),
    );
  }

  /** How many classes are in the head. */
  get shortlistSize(): number {
    return this.cutoffs[0] as number;
  }

  /** Draws all parameters anew. */
  resetParameters(): void {
    for (const module of this.modules()) if (module instanceof Linear) module.resetParameters();
  }

  override forward(input: Tensor, target: Tensor): AdaptiveLogSoftmaxOutput {
    const dims = target.ndim;
    if (dims > 1 || input.ndim !== dims + 1) {
      throw new ArgumentError(
        `AdaptiveLogSoftmaxWithLoss: input must be (N, inFeatures) and target (N), both with or both without N, but they have shape [${input.shape}] and [${target.shape}].`,
      );
    }
    if (dims === 0) {
      const [output, loss] = this.forward(input.unsqueeze(0), target.unsqueeze(0));
      return [output.squeeze(0), loss];
    }
    const batch = target.size(0);
    if (input.size(0) !== batch) {
      throw new ArgumentError(
        `AdaptiveLogSoftmaxWithLoss: input and target should have the same size in the batch dimension, but got ${input.size(0)} and ${batch}.`,
      );
    }
    const headLogProb = this.head.forward(input).logSoftmax(1);
    // The class in the head that stands for each target, and what its cluster adds to the log probability.
    const inHead = target.newEmpty([batch]);
    const output = headLogProb.newZeros([batch]);
    let found = 0;
    this.cutoffs.forEach((high, i) => {
      const low = this.cutoffs[i - 1] ?? 0;
      const rows = target.ge(low).logicalAnd(target.lt(high)).nonzero().squeeze(1);
      if (rows.numel() === 0) return;
      found += rows.numel();
      const classes = target.indexSelect(0, rows).sub(low);
      if (i === 0) {
        inHead.indexCopy_(0, rows, classes);
        return;
      }
      inHead.indexFill_(0, rows, this.shortlistSize + i - 1);
      const clusterLogProb = this.tail
        .get(i - 1)
        .forward(input.indexSelect(0, rows))
        .logSoftmax(1);
      output.indexCopy_(0, rows, clusterLogProb.gather(1, classes.unsqueeze(1)).squeeze(1));
    });
    if (found !== batch) {
      throw new ArgumentError(
        `Target values should be in [0, ${this.nClasses - 1}], but values in range [${target.min().item()}, ${target.max().item()}] were found.`,
      );
    }
    const all = output.add_(headLogProb.gather(1, inHead.unsqueeze(1)).squeeze(1));
    return [all, all.neg().mean()];
  }

  /** The log probabilities of all classes. Shapes: input `(N, inFeatures)`, output `(N, nClasses)`. */
  logProb(input: Tensor): Tensor {
    return this.fullLogProb(input, this.head.forward(input));
  }

  private fullLogProb(input: Tensor, headOutput: Tensor): Tensor {
    const headLogProb = headOutput.logSoftmax(1);
    const clusters = this.tail.map((cluster, i) =>
      cluster
        .forward(input)
        .logSoftmax(1)
        .add(headLogProb.narrow(1, this.shortlistSize + i, 1)),
    );
    return ops.cat([headLogProb.narrow(1, 0, this.shortlistSize), ...clusters], 1);
  }

  /** The most probable class. Shapes: input `(N, inFeatures)`, output `(N)`. */
  predict(input: Tensor): Tensor {
    const headOutput = this.head.forward(input);
    const output = headOutput.argmax(1);
    const rows = output.ge(this.shortlistSize).nonzero().squeeze(1);
    if (rows.numel() === 0) return output;
    const logProb = this.fullLogProb(input.indexSelect(0, rows), headOutput.indexSelect(0, rows));
    return output.indexCopy_(0, rows, logProb.argmax(1));
  }
}
