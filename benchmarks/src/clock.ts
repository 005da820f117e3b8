import { type Measurement, median, round } from "./plan.js";

/** Collects the time of every chunk of steps after the warm-up ones. */
export class Clock {
  readonly total: number;
  /** Milliseconds of each measured chunk. */
  times: number[] = [];
  loss: number | null = null;
  seen = 0;
  readonly warmup: number;
  readonly chunks: number;
  readonly size: number;
  #mark: number | undefined;

  constructor(warmup: number, chunks: number, size: number) {
    this.warmup = warmup;
    this.chunks = chunks;
    this.size = size;
    this.total = warmup + chunks * size;
  }

  /**
   * One more step is over.
   *
   * @param loss - Reads the loss; asked for after the last step only.
   * @returns true when the measurement is complete
   */
  tick(loss?: () => number): boolean {
    this.seen += 1;
    const done = this.seen - this.warmup;
    if (done >= 0 && done % this.size === 0) {
      const now = performance.now();
      if (this.#mark !== undefined) this.times.push(now - this.#mark);
      this.#mark = now;
    }
    if (this.seen < this.total) return false;
    if (loss !== undefined) this.loss = loss();
    return true;
  }

  /** The numbers of a measurement; `batch` is the samples per step. */
  result(
    batch: number,
  ): Pick<Measurement, "samples_per_s" | "ms_per_step" | "ms_min" | "ms_max" | "steps" | "final_loss"> {
    const times = this.times.slice(0, this.chunks);
    const perStep = median(times) / this.size;
    return {
      samples_per_s: round((1e3 * batch) / perStep, 1),
      ms_per_step: round(perStep, 4),
      ms_min: round(Math.min(...times) / this.size, 4),
      ms_max: round(Math.max(...times) / this.size, 4),
      steps: this.total,
      final_loss: this.loss,
    };
  }
}
