import type { Device } from "../../device.js";
import { ArgumentError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import { deepCopy } from "../../nn/deep-copy.js";
import { Module } from "../../nn/module.js";
import { zeros } from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { kindOf } from "../kinds.js";
import { type AvgFn, getSwaAvgFn, getSwaMultiAvgFn, type MultiAvgFn } from "./averaging.js";

/** Options of {@link AveragedModel}. */
export interface AveragedModelOptions {
  /** Where the averages are. Default: where the model is. */
  device?: Device | null;
  /** The average of one tensor. Default: the mean of all values. */
  avgFn?: AvgFn | null;
  /** The average of many tensors; instead of `avgFn`. */
  multiAvgFn?: MultiAvgFn | null;
  /** Averages buffers too; otherwise they are copied. Default: false. */
  useBuffers?: boolean;
}

/**
 * A copy of a model whose parameters are running averages of the model's: stochastic weight averaging, or an exponential moving
 * average.
 *
 * ```ts
 * const ema = new optim.swaUtils.AveragedModel(model, { multiAvgFn: optim.swaUtils.getEmaMultiAvgFn(0.999) });
 * optimizer.step();
 * ema.updateParameters(model);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html
 */
export class AveragedModel<M extends Module = Module> extends Module {
  readonly module: M;
  /** How many values are in the averages. */
  declare nAveraged: Tensor;
  readonly avgFn: AvgFn | null;
  readonly multiAvgFn: MultiAvgFn | null;
  readonly useBuffers: boolean;

  /** @throws ArgumentError where both `avgFn` and `multiAvgFn` are given */
  constructor(model: M, options: AveragedModelOptions = {}) {
    super();
    const { device = null, avgFn = null, multiAvgFn = null, useBuffers = false } = options;
    if (avgFn !== null && multiAvgFn !== null) {
      throw new ArgumentError("Only one of avgFn and multiAvgFn should be provided");
    }
    this.module = deepCopy(model);
    if (device !== null) this.module.to({ device });
    this.registerBuffer("nAveraged", zeros([], { dtype: "int64", ...(device !== null && { device }) }), {
      stateName: "n_averaged",
    });
    this.avgFn = avgFn;
    this.multiAvgFn = multiAvgFn;
    this.useBuffers = useBuffers;
  }

  /** The averaged model's output. */
  override forward(...args: Parameters<M["forward"]>): ReturnType<M["forward"]> {
    return this.module.forward(...args) as ReturnType<M["forward"]>;
  }

  /** Takes the current parameters into the averages; the first time they are copied. */
  updateParameters(model: Module): void {
    noGrad(() => {
      const averaged = [...this.module.parameters(), ...(this.useBuffers ? this.module.buffers() : [])];
      const given = [...model.parameters(), ...(this.useBuffers ? model.buffers() : [])];
      const current = averaged.map((average, i) => (given[i] as Tensor).detach().to(average.device));
      const count = this.nAveraged.item();
      if (count === 0) for (const [i, average] of averaged.entries()) average.copy_(current[i] as Tensor);
      else this.#average(averaged, current, count);
      if (!this.useBuffers) {
        const buffers = model.buffers();
        for (const [i, buffer] of this.module.buffers().entries()) buffer.copy_(buffers[i] as Tensor);
      }
      this.nAveraged.add_(1);
    });
  }

  #average(averaged: readonly Tensor[], current: readonly Tensor[], count: number): void {
    const each = (average: AvgFn, indices: readonly number[]) => {
      for (const i of indices) {
        const tensor = averaged[i] as Tensor;
        tensor.copy_(average(tensor.detach(), current[i] as Tensor, count));
      }
    };
    if (this.avgFn !== null) {
      each(this.avgFn, [...averaged.keys()]);
      return;
    }
    for (const indices of byKind(averaged)) {
      const onCpu = averaged[indices[0] as number]?.device === "cpu";
      const many = this.multiAvgFn ?? (onCpu ? null : getSwaMultiAvgFn());
      if (many === null) each(getSwaAvgFn(), indices);
      else many(pick(averaged, indices), pick(current, indices), count);
    }
  }
}

/** The positions of the tensors of each device and type. */
function byKind(tensors: readonly Tensor[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, tensor] of tensors.entries()) {
    const { device, dtype } = kindOf(tensor);
    const group = groups.get(`${device} ${dtype}`);
    if (group) group.push(i);
    else groups.set(`${device} ${dtype}`, [i]);
  }
  return [...groups.values()];
}

function pick(tensors: readonly Tensor[], indices: readonly number[]): Tensor[] {
  return indices.map((i) => (tensors[i] as Tensor).detach());
}
