import { ArgumentError, FlopCounterMode, type nn, type Tensor } from "@levin/torch";

/** Options of {@link Throughput}. */
export interface ThroughputOptions {
  /** The floating point operations that one device can do in a second, in theory. */
  availableFlops?: number | null;
  /** The number of devices. Default: 1. */
  worldSize?: number;
  /** Over how many updates rates are averaged. Default: 100. */
  windowSize?: number;
  /** What stands between "device" and a rate's name. Default: "/". */
  separator?: string;
}

/** What {@link Throughput.update} is told; each number counts from the begin. */
export interface ThroughputUpdate {
  /** The seconds since the begin. */
  time: number;
  batches: number;
  samples: number;
  /** The number of items in the samples, such as tokens. */
  lengths?: number | null;
  /** The floating point operations since the last update, on one device. */
  flops?: number | null;
}

/**
 * Computes rates from counts: `device/batches_per_sec`, `device/samples_per_sec`, `device/items_per_sec`, `device/flops_per_sec`,
 * `device/mfu` (the used part of the available operations), and the same of all devices where there are several. They are there when the
 * window is full.
 *
 * ```ts
 * const throughput = new Throughput({ windowSize: 10 });
 * const start = performance.now();
 * for (const [i, batch] of batches.entries()) {
 *   train(batch);
 *   throughput.update({ time: (performance.now() - start) / 1000, batches: i + 1, samples: (i + 1) * 64 });
 * }
 * console.log(throughput.compute());
 * ```
 */
export class Throughput {
  readonly availableFlops: number | null;
  readonly worldSize: number;
  readonly windowSize: number;
  readonly separator: string;
  readonly #time: number[] = [];
  readonly #batches: number[] = [];
  readonly #samples: number[] = [];
  readonly #lengths: number[] = [];
  readonly #flops: number[] = [];

  constructor(options: ThroughputOptions = {}) {
    this.availableFlops = options.availableFlops ?? null;
    this.worldSize = options.worldSize ?? 1;
    this.windowSize = options.windowSize ?? 100;
    this.separator = options.separator ?? "/";
    if (!(this.worldSize > 0)) {
      throw new ArgumentError(`Throughput: worldSize was given ${this.worldSize}; it is at least 1.`);
    }
    if (!(this.windowSize > 1)) {
      throw new ArgumentError(`Throughput: windowSize was given ${this.windowSize}; it is at least 2.`);
    }
  }

  /** The seconds at the last update; 0 before the first. */
  get lastTime(): number {
    return this.#time.at(-1) ?? 0;
  }

  /**
   * Takes in new counts.
   *
   * @throws ArgumentError where a count has not grown, or there are fewer samples than batches, or fewer items than samples
   */
  update({ time, batches, samples, lengths = null, flops = null }: ThroughputUpdate): void {
    this.#grow("time", this.#time, time);
    notFewer("samples", samples, "batches", batches);
    this.#grow("batches", this.#batches, batches);
    this.#grow("samples", this.#samples, samples);
    if (lengths !== null) {
      notFewer("lengths", lengths, "samples", samples);
      this.#grow("lengths", this.#lengths, lengths);
      if (this.#lengths.length !== this.#samples.length) {
        throw new ArgumentError("Throughput.update: give lengths at each update, or at none.");
      }
    }
    if (flops !== null) this.#push(this.#flops, flops * this.worldSize);
  }

  /** The last counts and, when the window is full, the rates. */
  compute(): Record<string, number> {
    const metrics: Record<string, number> = {
      time: this.#time.at(-1)!,
      batches: this.#batches.at(-1)!,
      samples: this.#samples.at(-1)!,
    };
    if (this.#lengths.length > 0) metrics.lengths = this.#lengths.at(-1)!;
    const elapsed = difference(this.#time);
    const device = `device${this.separator}`;
    const severalDevices = this.worldSize > 1;
    if (this.#isFull(this.#time)) {
      const batches = difference(this.#batches) / elapsed;
      const samples = difference(this.#samples) / elapsed;
      metrics[`${device}batches_per_sec`] = batches;
      metrics[`${device}samples_per_sec`] = samples;
      if (severalDevices) {
        metrics.batches_per_sec = batches * this.worldSize;
        metrics.samples_per_sec = samples * this.worldSize;
      }
      if (this.#isFull(this.#lengths)) {
        const items = difference(this.#lengths) / elapsed;
        metrics[`${device}items_per_sec`] = items;
        if (severalDevices) metrics.items_per_sec = items * this.worldSize;
      }
    }
    if (this.#isFull(this.#flops)) {
      // the first of them were done before the window's time
      const flops = this.#flops.slice(1).reduce((sum, each) => sum + each, 0) / elapsed;
      if (severalDevices) metrics.flops_per_sec = flops;
      metrics[`${device}flops_per_sec`] = flops / this.worldSize;
      if (this.availableFlops) metrics[`${device}mfu`] = flops / this.worldSize / this.availableFlops;
    }
    return metrics;
  }

  /** Begins anew. */
  reset(): void {
    for (const window of [this.#time, this.#batches, this.#samples, this.#lengths, this.#flops]) {
      window.length = 0;
    }
  }

  #isFull(window: readonly number[]): boolean {
    return window.length === this.windowSize;
  }

  #grow(name: string, window: number[], value: number): void {
    const last = window.at(-1);
    if (last !== undefined && last >= value) {
      throw new ArgumentError(`Throughput.update: ${name} must grow, but was ${last} and is ${value}.`);
    }
    this.#push(window, value);
  }

  #push(window: number[], value: number): void {
    window.push(value);
    if (window.length > this.windowSize) window.shift();
  }
}

function difference(window: readonly number[]): number {
  return window.at(-1)! - window[0]!;
}

function notFewer(name: string, value: number, of: string, least: number): void {
  if (value >= least) return;
  throw new ArgumentError(`Throughput.update: ${name} (${value}) must be at least ${of} (${least}).`);
}

/**
 * The floating point operations of a forward pass or, with `lossFn`, of a forward and a backward pass.
 *
 * ```ts
 * const flops = measureFlops(model, () => model.forward(batch), { lossFn: (output) => output.sum() });
 * ```
 */
export function measureFlops(
  _model: nn.Module,
  forwardFn: () => Tensor,
  options: { lossFn?: ((output: Tensor) => Tensor) | null } = {},
): number {
  const { lossFn = null } = options;
  const counter = new FlopCounterMode();
  counter.run(() => {
    const output = forwardFn();
    lossFn?.(output).backward();
  });
  return counter.getTotalFlops();
}
