import { inspect } from "node:util";
import { cuda, type Device } from "../device.js";
import { ArgumentError, LevinError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import { call } from "../operator.js";
import { batchesOf } from "../optim/kinds.js";
import { type Closure, type Loss, Optimizer } from "../optim/optimizer.js";
import { Tensor } from "../tensor.js";

/** Options of {@link GradScaler}, in the order of PyTorch's positional arguments. */
export interface GradScalerOptions {
  /** The type of device. Default: `"cuda"`. */
  device?: Device;
  /** Default: 65536. */
  initScale?: number;
  /** What the scale is multiplied by after `growthInterval` steps without infinities; above 1. Default: 2. */
  growthFactor?: number;
  /** What it is multiplied by after a step with one; below 1. Default: 0.5. */
  backoffFactor?: number;
  /** Default: 2000. */
  growthInterval?: number;
  /** Whether it does anything at all. Default: true. */
  enabled?: boolean;
}

/** A scaler's state, with PyTorch's names; empty for one that is not enabled. */
export interface GradScalerStateDict {
  scale?: number;
  growth_factor?: number;
  backoff_factor?: number;
  growth_interval?: number;
  _growth_tracker?: number;
}

/** Tensors in lists of any depth. */
export type Outputs = Tensor | readonly Outputs[];

/** How far an optimizer is since the last update. */
interface OptimizerProgress {
  stage: "ready" | "unscaled" | "stepped";
  /** One where a gradient is not finite, for each device. */
  foundInf: Map<Device, Tensor>;
}

/**
 * Multiplies the loss, so that small gradients do not vanish in `float16`, and divides the gradients before the optimizer step;
 * a step with infinite gradients is left out, and lowers the scale.
 *
 * ```ts
 * const scaler = new amp.GradScaler({ device: "cuda" });
 * scaler.scale(loss).backward();
 * scaler.step(optimizer);
 * scaler.update();
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler
 */
export class GradScaler {
  readonly #device: string;
  readonly #enabled: boolean;
  #initScale: number;
  #growthFactor: number;
  #backoffFactor: number;
  #growthInterval: number;
  #initGrowthTracker = 0;
  /** Made on the device of the first output. */
  #state: { scale: Tensor; growthTracker: Tensor } | null = null;
  #optimizers = new Map<Optimizer, OptimizerProgress>();

  /** @throws ArgumentError where a factor is on the wrong side of 1 */
  constructor(options: GradScalerOptions = {}) {
    const { device = "cuda", initScale = 65536, growthFactor = 2, backoffFactor = 0.5 } = options;
    const { growthInterval = 2000, enabled = true } = options;
    this.#device = device.split(":")[0] as string;
    const available = this.#device !== "cuda" || cuda.isAvailable();
    if (enabled && !available) {
      process.emitWarning("GradScaler is enabled, but CUDA is not available. Disabling.");
    }
    this.#enabled = enabled && available;
    if (this.#enabled && !(growthFactor > 1)) {
      throw new ArgumentError(`The growth factor must be > 1.0, got ${growthFactor}.`);
    }
    if (this.#enabled && !(backoffFactor < 1)) {
      throw new ArgumentError(`The backoff factor must be < 1.0, got ${backoffFactor}.`);
    }
    this.#initScale = initScale;
    this.#growthFactor = growthFactor;
    this.#backoffFactor = backoffFactor;
    this.#growthInterval = growthInterval;
  }

  /** The outputs, which may be lists of tensors, multiplied by the scale. */
  scale<T extends Outputs>(outputs: T): T {
    if (!this.#enabled) return outputs;
    const scaled = (value: Outputs): Outputs => {
      if (value instanceof Tensor) {
        const { scale } = this.#stateOn(value.device);
        return value.mul(scale.to({ device: value.device, nonBlocking: true }));
      }
      if (Array.isArray(value)) return value.map(scaled);
      throw new ArgumentError("outputs must be a Tensor or an iterable of Tensors");
    };
    return scaled(outputs) as T;
  }

  /**
   * Divides the gradients of an optimizer's parameters by the scale, for instance to clip them before {@link step}.
   *
   * @throws LevinError where that was done already
   */
  unscale_(optimizer: Optimizer): void {
    if (!this.#enabled) return;
    const { scale } = this.#checkedState("unscale_");
    const progress = this.#progressOf(optimizer);
    if (progress.stage === "unscaled") {
      throw new LevinError("unscale_() has already been called on this optimizer since the last update().");
    }
    if (progress.stage === "stepped") throw new LevinError("unscale_() is being called after step().");
    // in double precision the inverse of a scale is exact to the last bit of float32
    const inverse = scale.device.startsWith("mps") ? scale.reciprocal() : scale.double().reciprocal().float();
    progress.foundInf = unscale(optimizer, inverse, false);
    progress.stage = "unscaled";
  }

  /**
   * The optimizer step, with gradients divided by the scale; left out where one of them is infinite.
   *
   * @param closure must not be given while the scaler is enabled
   * @returns what the step returned; null where it was left out
   * @throws LevinError where it was called twice without {@link update} in between
   */
  step(optimizer: Optimizer, closure?: Closure): Loss {
    if (!this.#enabled) return optimizer.step(closure);
    if (closure !== undefined) {
      throw new LevinError("Closure use is not currently supported if GradScaler is enabled.");
    }
    const { scale } = this.#checkedState("step");
    const progress = this.#progressOf(optimizer);
    if (progress.stage === "stepped")
      throw new LevinError("step() has already been called since the last update().");
    if (optimizer.stepSupportsAmpScaling) return this.#stepInKernel(optimizer, progress, scale);
    if (progress.stage === "ready") this.unscale_(optimizer);
    if (progress.foundInf.size === 0) throw new LevinError("No inf checks were recorded for this optimizer.");
    const finite = [...progress.foundInf.values()].every((found) => found.item() === 0);
    const loss = finite ? optimizer.step() : null;
    progress.stage = "stepped";
    return loss;
  }

  /** The step of an optimizer whose kernel unscales and looks for infinities itself, so that nobody waits for the device. */
  #stepInKernel(optimizer: Optimizer, progress: OptimizerProgress, scale: Tensor): Loss {
    const isUnscaled = progress.stage === "unscaled";
    if (!isUnscaled) progress.foundInf = unscale(optimizer, call("aten::ones_like", scale) as Tensor, true);
    const foundInf = sumOf(progress.foundInf.values(), scale.device);
    if (foundInf === null) throw new LevinError("No inf checks were recorded for this optimizer.");
    optimizer.scaling = { gradScale: isUnscaled ? null : scale, foundInf };
    try {
      return optimizer.step();
    } finally {
      optimizer.scaling = null;
      progress.stage = "stepped";
    }
  }

  /**
   * Raises or lowers the scale, by what was found in the gradients since the last call.
   *
   * @param newScale sets the scale instead
   */
  update(newScale?: number | Tensor): void {
    if (!this.#enabled) return;
    const { scale, growthTracker } = this.#checkedState("update");
    noGrad(() => {
      if (newScale === undefined) {
        const found = sumOf(
          [...this.#optimizers.values()].flatMap(({ foundInf }) => [...foundInf.values()]),
          scale.device,
        );
        if (found === null) throw new LevinError("No inf checks were recorded prior to update.");
        const factors = [this.#growthFactor, this.#backoffFactor, this.#growthInterval];
        call("aten::_amp_update_scale_", scale, growthTracker, found, ...factors);
      } else if (typeof newScale === "number") {
        scale.fill_(newScale);
      } else {
        if (
          newScale.device.split(":")[0] !== this.#device ||
          newScale.numel() !== 1 ||
          newScale.requiresGrad
        ) {
          throw new ArgumentError(
            `newScale should be a number or a Tensor on ${this.#device} with 1 element and requiresGrad=false.`,
          );
        }
        scale.copy_(newScale.reshape([]));
      }
    });
    this.#optimizers.clear();
  }

  /** The scale; 1 for a scaler that is not enabled. Waits for the device. */
  getScale(): number {
    if (!this.#enabled) return 1;
    return this.#state === null ? this.#initScale : this.#state.scale.item();
  }

  /** What the scale is multiplied by when it is raised. */
  getGrowthFactor(): number {
    return this.#growthFactor;
  }

  /** Sets what the scale is multiplied by when it is raised. */
  setGrowthFactor(newFactor: number): void {
    this.#growthFactor = newFactor;
  }

  /** What the scale is multiplied by when it is lowered. */
  getBackoffFactor(): number {
    return this.#backoffFactor;
  }

  /** Sets what the scale is multiplied by when it is lowered. */
  setBackoffFactor(newFactor: number): void {
    this.#backoffFactor = newFactor;
  }

  /** After how many steps without infinities the scale is raised. */
  getGrowthInterval(): number {
    return this.#growthInterval;
  }

  /** Sets after how many steps without infinities the scale is raised. */
  setGrowthInterval(newInterval: number): void {
    this.#growthInterval = newInterval;
  }

  /** Whether it does anything. */
  isEnabled(): boolean {
    return this.#enabled;
  }

  /** The state to go on with, in PyTorch's form: call it after {@link update}. */
  stateDict(): GradScalerStateDict {
    if (!this.#enabled) return {};
    return {
      scale: this.getScale(),
      growth_factor: this.#growthFactor,
      backoff_factor: this.#backoffFactor,
      growth_interval: this.#growthInterval,
      _growth_tracker: this.#state === null ? this.#initGrowthTracker : this.#state.growthTracker.item(),
    };
  }

  /**
   * Takes over a state, of levin's or PyTorch's making; a scaler that is not enabled does nothing.
   *
   * @throws ArgumentError where the state is that of a scaler that was not enabled
   */
  loadStateDict(stateDict: GradScalerStateDict): void {
    if (!this.#enabled) return;
    const { scale, growth_factor, backoff_factor, growth_interval, _growth_tracker } = stateDict;
    if (Object.keys(stateDict).length === 0) {
      throw new ArgumentError(
        "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.",
      );
    }
    this.#initScale = Number(scale);
    this.#growthFactor = Number(growth_factor);
    this.#backoffFactor = Number(backoff_factor);
    this.#growthInterval = Number(growth_interval);
    this.#initGrowthTracker = Number(_growth_tracker);
    this.#state?.scale.fill_(this.#initScale);
    this.#state?.growthTracker.fill_(this.#initGrowthTracker);
  }

  #stateOn(device: Device): { scale: Tensor; growthTracker: Tensor } {
    this.#state ??= {
      scale: call("aten::full", [], this.#initScale, { dtype: "float32", device }) as Tensor,
      growthTracker: call("aten::full", [], this.#initGrowthTracker, { dtype: "int32", device }) as Tensor,
    };
    return this.#state;
  }

  #checkedState(method: string): { scale: Tensor; growthTracker: Tensor } {
    if (this.#state !== null) return this.#state;
    throw new LevinError(
      `Attempted ${method} but _scale is None. This may indicate your script did not use scaler.scale(loss or outputs) earlier ` +
        "in the iteration.",
    );
  }

  #progressOf(optimizer: Optimizer): OptimizerProgress {
    if (!(optimizer instanceof Optimizer))
      throw new ArgumentError(`expected an optimizer, got ${inspect(optimizer, { depth: 0 })}`);
    let progress = this.#optimizers.get(optimizer);
    if (progress === undefined) {
      progress = { stage: "ready", foundInf: new Map() };
      this.#optimizers.set(optimizer, progress);
    }
    return progress;
  }
}

/** Multiplies all gradients; tells for each device whether one is not finite. */
function unscale(optimizer: Optimizer, factor: Tensor, allowFloat16: boolean): Map<Device, Tensor> {
  const found = new Map<Device, Tensor>();
  const factors = new Map<Device, Tensor>();
  noGrad(() => {
    for (const group of optimizer.paramGroups) {
      for (const { kind, params, grads } of batchesOf(group)) {
        const { device, dtype } = kind;
        if (dtype === "float16" && !allowFloat16)
          throw new LevinError("Attempting to unscale FP16 gradients.");
        if (!found.has(device)) {
          found.set(device, call("aten::zeros", [], { dtype: "float32", device }) as Tensor);
          factors.set(device, factor.to({ device, nonBlocking: true }));
        }
        const values = grads.map((grad, i) => denseValues(params[i] as Tensor, grad));
        call(
          "aten::_amp_foreach_non_finite_check_and_unscale_",
          values,
          found.get(device),
          factors.get(device),
        );
        for (const grad of grads) grad.dispose();
      }
    }
  });
  return found;
}

/** The values of a gradient, also of a sparse one. */
function denseValues(param: Tensor, grad: Tensor): Tensor {
  if (grad.layout === "strided") return grad;
  if (grad.dtype !== "float16") return call("aten::_values", grad) as Tensor;
  // a sum of float16 values may be infinite where they are not
  const unique = grad.coalesce();
  param.grad = unique;
  return call("aten::_values", unique) as Tensor;
}

/** The sum of tensors of several devices; null where there is none. */
function sumOf(tensors: Iterable<Tensor>, device: Device): Tensor | null {
  let sum: Tensor | null = null;
  for (const tensor of tensors) {
    const here = tensor.to({ device, nonBlocking: true });
    sum = sum === null ? here : sum.add(here);
  }
  return sum;
}
