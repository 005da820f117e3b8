import type { Device } from "../device.js";
import { type DType, getDefaultDtype } from "../dtype.js";
import { ArgumentError, LevinError, OperatorError } from "../errors.js";
import {
  enterInferenceMode,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  setGradEnabled,
} from "../grad-mode.js";
import { deepCopy } from "../nn/deep-copy.js";
import { Module } from "../nn/module.js";
import { stateNameOf } from "../nn/module-members.js";
import type { LoadTask, StateDict } from "../nn/module-state.js";
import * as ops from "../ops.js";
import { Tensor } from "../tensor.js";
import {
  gatherState,
  getStateSync,
  mergeState,
  type State,
  type StateReduction,
  type StateSync,
} from "./sync.js";

/** Options of every metric. */
export interface MetricOptions {
  /** Moves the tensors of list states to the CPU after each update. Default: false. */
  computeOnCpu?: boolean;
  /** Synchronizes in each `forward`, so that its value is that of all processes. Default: false. */
  distSyncOnStep?: boolean;
  /** Synchronizes in `compute`, where there are several processes. Default: true. */
  syncOnCompute?: boolean;
  /** What the states are synchronized with. Default: what {@link setStateSync} was given. */
  stateSync?: StateSync | null;
  /** Keeps the result of `compute` until the state changes. Default: true. */
  computeWithCache?: boolean;
}

/** Options of {@link Metric.addState}. */
export interface AddStateOptions {
  /** How the values of several processes become one. Lists take `"cat"` or null. Default: null. */
  distReduceFx?: StateReduction;
  /** Whether the state dict has it. Default: false. */
  persistent?: boolean;
}

interface StateEntry {
  /** What `reset` sets; null for a list. */
  initial: Tensor | null;
  readonly reduction: StateReduction;
  persistent: boolean;
}

/** What is known of the values given to `update`, on the metric's device. */
interface Finding {
  readonly severity: "error" | "warning";
  /** How many values have a fault; null where it is their range that tells. */
  count: Tensor | null;
  /** The lowest and the highest value; null where they are counted. */
  range: [min: Tensor, max: Tensor] | null;
  readonly allowed: readonly [low: number, high: number];
}

/** What a metric keeps beside its states. */
interface Bookkeeping {
  readonly states: Record<string, StateEntry>;
  readonly options: MetricOptions;
  updateCount: number;
  /** The result of `compute`; undefined where the state has changed since. */
  computed: unknown;
  forwardCache: unknown;
  /** Whether `forward` is running: gradients are recorded, and nothing is synchronized or cached. */
  inForward: boolean;
  /** This process's own states while the fields hold those of all. */
  local: Record<string, State> | null;
  /** What is wrong with the values of updates, by the message to give: read from the device in `compute` only. */
  findings: Record<string, Finding>;
  device: Device;
  dtype: DType;
}

/**
 * The base of all metrics: a module whose state grows with each `update` and gives a value by `compute`.
 *
 * A metric defines `update` and `compute`, and its states as fields made by {@link addState}; everything else is here.
 * Neither reads a value from the device but in `compute`.
 *
 * ```ts
 * class ExactMatch extends metrics.Metric<[preds: Tensor, target: Tensor]> {
 *   correct = this.addState("correct", torch.tensor(0), { distReduceFx: "sum" });
 *   total = this.addState("total", torch.tensor(0), { distReduceFx: "sum" });
 *   override readonly fullStateUpdate: boolean = false;
 *
 *   override update(preds: Tensor, target: Tensor) {
 *     this.correct.add_(preds.eq(target).sum());
 *     this.total.add_(target.numel());
 *   }
 *   override compute() {
 *     return this.correct.div(this.total);
 *   }
 * }
 * ```
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/pages/implement.html
 */
export abstract class Metric<Args extends unknown[] = never[], Value = Tensor> extends Module {
  /**
   * Whether `forward` updates twice, since `update` needs the state of all batches. Where false, it updates once and
   * merges the batch's state into the whole by the states' reductions, which is faster.
   */
  readonly fullStateUpdate: boolean = true;
  /** Whether a higher value is a better one; null where that cannot be said. */
  readonly higherIsBetter: boolean | null = null;
  /** Whether the value of `forward` has a gradient with respect to the predictions. */
  readonly isDifferentiable: boolean | null = null;

  private readonly bookkeeping: Bookkeeping;

  constructor(options: MetricOptions = {}) {
    super();
    this.bookkeeping = {
      states: {},
      options,
      updateCount: 0,
      computed: undefined,
      forwardCache: undefined,
      inForward: false,
      local: null,
      findings: {},
      device: "cpu",
      dtype: getDefaultDtype(),
    };
    // As in torchmetrics, the methods of the subclass are what is called, with what belongs around them.
    const { update, compute } = this as Metric<unknown[], unknown>;
    const around = {
      update(this: Metric<Args, Value>, ...args: unknown[]): void {
        this.runUpdate(update, args);
      },
      compute(this: Metric<Args, Value>): unknown {
        return this.runCompute(compute);
      },
    };
    Object.defineProperty(this, "update", { value: around.update, configurable: true, writable: true });
    Object.defineProperty(this, "compute", { value: around.compute, configurable: true, writable: true });
  }

  /** Takes a batch into the state. */
  abstract update(...args: Args): void;

  /** The value of all batches since the last reset, of all processes where there are several. */
  abstract compute(): Value;

  /** Takes a batch into the state, and gives the value of that batch alone. */
  override forward(...args: Args): Value {
    if (this.bookkeeping.local !== null) {
      throw new LevinError(
        `${this.className}: forward was called while the states are synchronized; call unsync first.`,
      );
    }
    const { distSyncOnStep } = this.bookkeeping.options;
    const value =
      this.fullStateUpdate || distSyncOnStep ? this.forwardByTwoUpdates(args) : this.forwardByMerging(args);
    this.bookkeeping.forwardCache = value;
    return value;
  }

  /** The value of the last `forward`; undefined before the first one, and after a reset. */
  get forwardCache(): Value | undefined {
    return this.bookkeeping.forwardCache as Value | undefined;
  }

  /** The name of the metric, by which collections list it. */
  get className(): string {
    return this.constructor.name;
  }

  /**
   * What is equal for metrics whose states are always equal, of which a {@link MetricCollection} has to update one only;
   * null where there is no other.
   */
  get computeGroup(): string | null {
    return null;
  }

  /** How often the state was updated since the last reset. */
  get updateCount(): number {
    return this.bookkeeping.updateCount;
  }

  /** Whether the state was updated since the last reset. */
  get updateCalled(): boolean {
    return this.bookkeeping.updateCount > 0;
  }

  /** Where the states are. */
  get device(): Device {
    return this.bookkeeping.device;
  }

  /** The type that numbers given to `update` become. */
  get dtype(): DType {
    return this.bookkeeping.dtype;
  }

  /** The states by their field names. */
  get metricState(): Record<string, State> {
    return this.mapStates((state) => state);
  }

  /**
   * Makes a field a state, to be reset, moved and synchronized with the others.
   *
   * @param name the field; assign what this method returns to it, in the class or in the constructor
   * @param initial the value after a reset: a tensor, or an empty list
   * @throws ArgumentError where `initial` is neither, or a list has another reduction than `"cat"` or null
   */
  addState<S extends State>(name: string, initial: S, options: AddStateOptions = {}): S {
    const { distReduceFx = null, persistent = false } = options;
    const isList = Array.isArray(initial);
    if (isList ? initial.length > 0 : !(initial instanceof Tensor)) {
      throw new ArgumentError(`addState: the initial value of "${name}" must be a tensor or an empty list.`);
    }
    const allowed = isList ? ["cat", null] : ["sum", "mean", "cat", "min", "max", null];
    if (!allowed.includes(distReduceFx as string | null) && (isList || typeof distReduceFx !== "function")) {
      throw new ArgumentError(
        `addState: distReduceFx of "${name}" was given ${String(distReduceFx)}; for a ${isList ? "list" : "tensor"} it is ` +
          `${allowed.map((value) => JSON.stringify(value)).join(", ")}${isList ? "" : " or a function"}.`,
      );
    }
    this.bookkeeping.states[name] = {
      initial: isList ? null : initial.detach().clone(),
      reduction: distReduceFx,
      persistent,
    };
    this.setState(name, initial);
    return initial;
  }

  /** Sets all states to what they were at first. */
  reset(): void {
    const { bookkeeping } = this;
    bookkeeping.updateCount = 0;
    bookkeeping.computed = undefined;
    bookkeeping.forwardCache = undefined;
    bookkeeping.findings = {};
    bookkeeping.local = null;
    this.resetStates();
  }

  /** A copy with states of its own. */
  clone(): this {
    return deepCopy(this);
  }

  /** Sets whether the state dict has the states. */
  persistent(mode = false): void {
    for (const entry of Object.values(this.bookkeeping.states)) entry.persistent = mode;
  }

  /**
   * Adds the state of another metric of the same class, or a record like {@link metricState}.
   *
   * @throws ArgumentError where a state is missing or the class is another one
   */
  mergeState(incoming: Metric<never[], unknown> | Record<string, State>): void {
    if (this.fullStateUpdate || this.bookkeeping.options.distSyncOnStep) {
      throw new ArgumentError(
        `mergeState: ${this.className} cannot be merged, since it has fullStateUpdate or distSyncOnStep set to true.`,
      );
    }
    if (incoming instanceof Metric && incoming.constructor !== this.constructor) {
      throw new ArgumentError(`mergeState: a ${this.className} is needed, but got a ${incoming.className}.`);
    }
    this.mergeIn(incoming instanceof Metric ? incoming.metricState : incoming);
    this.bookkeeping.computed = undefined;
  }

  /** @internal Takes the very states of a metric of the same {@link computeGroup}, which are then updated there only. */
  shareStateOf(other: AnyMetric): void {
    this.setStates(other.metricState);
    const { bookkeeping } = this;
    bookkeeping.computed = undefined;
    bookkeeping.updateCount = other.bookkeeping.updateCount;
    bookkeeping.findings = { ...other.bookkeeping.findings };
  }

  /** @internal Gives the metric states of its own. */
  copyState(): void {
    this.setStates(this.mapStates((state) => (Array.isArray(state) ? [...state] : state.clone())));
  }

  /**
   * Replaces the states by those of all processes together, until {@link unsync}. `compute` does so by itself.
   *
   * @returns whether there was anything to synchronize with
   * @throws LevinError where the states are synchronized already
   */
  sync(): boolean {
    const { bookkeeping } = this;
    if (bookkeeping.local !== null)
      throw new LevinError(`${this.className}: the states are synchronized already.`);
    const sync = bookkeeping.options.stateSync ?? getStateSync();
    if (sync === null || !sync.isAvailable()) return false;
    const local = this.metricState;
    const empty = ops.zeros([0], { dtype: this.dtype, device: this.device });
    for (const [name, { reduction }] of Object.entries(bookkeeping.states)) {
      this.setState(name, gatherState(local[name] as State, reduction, sync, empty));
    }
    bookkeeping.local = local;
    return true;
  }

  /** Sets the states back to this process's own. */
  unsync(): void {
    const { local } = this.bookkeeping;
    if (local === null) throw new LevinError(`${this.className}: the states are not synchronized.`);
    this.setStates(local);
    this.bookkeeping.local = null;
  }

  /** Converts all states, and the type that numbers become. Unlike with other modules, `float`, `half` and so on do not. */
  setDtype(dtype: DType): this {
    this.type(dtype);
    this.mapOwnState((tensor) => tensor.to({ dtype }));
    return this;
  }

  /**
   * Says how many of the values given to `update` have a fault. Since reading that would wait for the device, `compute` does
   * it, and throws or warns with the message where the sum is not zero.
   */
  protected report(count: Tensor, message: string, severity: "error" | "warning" = "error"): void {
    const { findings } = this.bookkeeping;
    const known = findings[message]?.count;
    findings[message] = { severity, count: known ? known.add(count) : count, range: null, allowed: [0, 0] };
  }

  /** Has `compute` throw with the message where values given to `update` are below `low` or above `high`; see {@link report}. */
  protected expectRange(values: Tensor, low: number, high: number, message: string): void {
    if (values.numel() === 0) return;
    const { findings } = this.bookkeeping;
    const known = findings[message]?.range;
    const { min, max } = values.detach().aminmax();
    const range: [Tensor, Tensor] = known
      ? [ops.minimum(known[0], min), ops.maximum(known[1], max)]
      : [min, max];
    findings[message] = { severity: "error", count: null, range, allowed: [low, high] };
  }

  protected override mapOwnState(fn: (tensor: Tensor) => Tensor): void {
    const { bookkeeping } = this;
    const map = (state: State): State => (Array.isArray(state) ? state.map(fn) : fn(state));
    for (const entry of Object.values(bookkeeping.states))
      if (entry.initial !== null) entry.initial = fn(entry.initial);
    this.setStates(this.mapStates(map));
    for (const [name, state] of Object.entries(bookkeeping.local ?? {})) {
      (bookkeeping.local as Record<string, State>)[name] = map(state);
    }
    for (const finding of Object.values(bookkeeping.findings)) {
      finding.count = finding.count && fn(finding.count);
      finding.range = finding.range && [fn(finding.range[0]), fn(finding.range[1])];
    }
    bookkeeping.computed = mapTensors(bookkeeping.computed, fn);
    bookkeeping.forwardCache = mapTensors(bookkeeping.forwardCache, fn);
    // Only `fn` knows where it leads to.
    const probe = fn(ops.zeros([1], { dtype: bookkeeping.dtype, device: bookkeeping.device }));
    bookkeeping.device = probe.device;
    bookkeeping.dtype = probe.dtype;
  }

  protected override saveToStateDict(destination: StateDict, prefix: string, keepVars: boolean): void {
    super.saveToStateDict(destination, prefix, keepVars);
    const save = (tensor: Tensor): Tensor => (keepVars ? tensor.clone() : tensor.detach().clone());
    for (const [name, entry] of Object.entries(this.bookkeeping.states)) {
      if (!entry.persistent) continue;
      const state = this.getState(name);
      // As torchmetrics does, a list goes in as it is.
      destination[prefix + stateNameOf(this, name)] = (
        Array.isArray(state) ? state.map(save) : save(state)
      ) as Tensor;
    }
  }

  protected override loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void {
    for (const name of Object.keys(this.bookkeeping.states)) {
      const key = prefix + stateNameOf(this, name);
      const given = dict[key];
      if (given === undefined) continue;
      this.setState(name, given);
      delete dict[key];
    }
    super.loadFromStateDict(dict, prefix, task);
  }

  private getState(name: string): State {
    return (this as unknown as Record<string, State>)[name] as State;
  }

  private setState(name: string, state: State): void {
    (this as unknown as Record<string, State>)[name] = state;
  }

  private mapStates(fn: (state: State) => State): Record<string, State> {
    const mapped: Record<string, State> = {};
    for (const name in this.bookkeeping.states) mapped[name] = fn(this.getState(name));
    return mapped;
  }

  private setStates(states: Record<string, State>): void {
    for (const name in this.bookkeeping.states) this.setState(name, states[name] as State);
  }

  private resetStates(): void {
    outsideInferenceMode(() => {
      const { states } = this.bookkeeping;
      for (const name in states) this.setState(name, states[name]?.initial?.clone() ?? []);
    });
  }

  private mergeIn(incoming: Record<string, State>): void {
    const { states, updateCount } = this.bookkeeping;
    for (const name in states) {
      const state = incoming[name];
      if (state === undefined) throw new ArgumentError(`mergeState: the incoming state has no "${name}".`);
      this.setState(
        name,
        mergeState(state, this.getState(name), states[name]?.reduction ?? null, updateCount),
      );
    }
  }

  private runUpdate(update: (...args: unknown[]) => unknown, args: unknown[]): void {
    const { bookkeeping } = this;
    bookkeeping.computed = undefined;
    bookkeeping.updateCount++;
    const before = isGradEnabled();
    setGradEnabled(bookkeeping.inForward);
    let result: unknown;
    try {
      result = outsideInferenceMode(() => update.apply(this, args));
    } catch (error) {
      if (error instanceof OperatorError && error.message.includes("Expected all tensors to be on")) {
        throw new ArgumentError(
          `${this.className}: the metric is on ${this.device}, but update was given tensors of another device: move the ` +
            "metric with `metric.to(device)`, or keep it in a field of a module that is moved.",
          { cause: error },
        );
      }
      throw error;
    } finally {
      setGradEnabled(before);
    }
    if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
      throw new ArgumentError(`${this.className}: update must be synchronous, but it returned a promise.`);
    }
    if (bookkeeping.options.computeOnCpu && !bookkeeping.inForward) this.moveListsToCpu();
  }

  private runCompute(compute: () => unknown): unknown {
    const { bookkeeping } = this;
    if (bookkeeping.updateCount === 0) {
      process.emitWarning(
        `compute of ${this.className} was called before update: the states have not been updated yet, which may lead to errors.`,
      );
    }
    if (bookkeeping.computed !== undefined) return bookkeeping.computed;
    const { inForward } = bookkeeping;
    const { distSyncOnStep = false, syncOnCompute = true, computeWithCache = true } = bookkeeping.options;
    const synced = bookkeeping.local === null && (inForward ? distSyncOnStep : syncOnCompute) && this.sync();
    let value: unknown;
    try {
      // After synchronizing, so that an error of one process leaves no other one waiting.
      if (!inForward) this.checkFindings();
      value = mapTensors(compute.call(this), ownScalar);
    } finally {
      if (synced) this.unsync();
    }
    if (!inForward && computeWithCache) bookkeeping.computed = value;
    return value;
  }

  private checkFindings(): void {
    for (const [message, finding] of Object.entries(this.bookkeeping.findings)) {
      const found = faultOf(finding);
      if (found === null) continue;
      const text = `${this.className}: ${message} (${found} since the last reset).`;
      if (finding.severity === "error") throw new ArgumentError(text);
      process.emitWarning(text);
    }
  }

  private forwardByTwoUpdates(args: Args): Value {
    this.update(...args);
    return this.withBatchState((updateCount, states) => {
      const value = this.updateAndCompute(args);
      this.setStates(states);
      this.bookkeeping.updateCount = updateCount;
      return value;
    });
  }

  private forwardByMerging(args: Args): Value {
    return this.withBatchState((updateCount, states) => {
      const value = this.updateAndCompute(args);
      this.bookkeeping.updateCount = updateCount + 1;
      noGrad(() => outsideInferenceMode(() => this.mergeIn(states)));
      return value;
    });
  }

  /** Runs `body` with the states of a reset metric; it gets the others, and sets what shall be kept. */
  private withBatchState(body: (updateCount: number, states: Record<string, State>) => Value): Value {
    const { bookkeeping } = this;
    const { updateCount } = bookkeeping;
    const states = this.metricState;
    bookkeeping.inForward = true;
    bookkeeping.updateCount = 0;
    this.resetStates();
    try {
      return body(updateCount, states);
    } catch (error) {
      // A batch that failed has changed nothing.
      this.setStates(states);
      bookkeeping.updateCount = updateCount;
      throw error;
    } finally {
      bookkeeping.inForward = false;
      bookkeeping.computed = undefined;
      if (bookkeeping.options.computeOnCpu) this.moveListsToCpu();
    }
  }

  private updateAndCompute(args: Args): Value {
    this.update(...args);
    return this.compute();
  }

  private moveListsToCpu(): void {
    const move = (state: State): State =>
      Array.isArray(state) ? state.map((tensor) => tensor.cpu()) : state;
    this.setStates(this.mapStates(move));
  }
}

/** What is wrong; null where nothing is. */
function faultOf({ count, range, allowed }: Finding): string | null {
  if (count !== null) {
    const found = Number(count.item());
    return found === 0 ? null : `${found} of the values`;
  }
  const [low, high] = (range ?? []).map((bound) => Number(bound.item()));
  if (low === undefined || high === undefined || (low >= allowed[0] && high <= allowed[1])) return null;
  return `they reach from ${low} to ${high}`;
}

/** A state that is made in inference mode could not be updated in place outside of it. */
function outsideInferenceMode<T>(body: () => T): T {
  if (!isInferenceModeEnabled()) return body();
  const leave = enterInferenceMode(false);
  try {
    return body();
  } finally {
    leave();
  }
}

/** Any metric, whatever it takes and gives. */
export type AnyMetric = Metric<never[], unknown>;

/** A tensor of its own, so that a later change in place of a state is not one of a result; without dimensions of size 1 for one value. */
function ownScalar(tensor: Tensor): Tensor {
  return (tensor.numel() === 1 && tensor.ndim > 0 ? tensor.squeeze() : tensor).clone();
}

function mapTensors(value: unknown, fn: (tensor: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return fn(value);
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, fn));
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, fn)]));
  }
  return value;
}
