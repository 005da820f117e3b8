import type { SampleIndex } from "./fetch.js";
import { isStateful, type Stateful } from "./state.js";

/** The numbers of the samples of one epoch, task by task. */
export class Order {
  readonly #source: Iterator<SampleIndex>;
  readonly #sampler: Stateful | null;
  readonly #leftOut: ReadonlySet<number>;
  /** The next one, where it was drawn ahead. */
  #ahead: IteratorResult<SampleIndex> | null = null;
  #position = 0;
  /** Called before the first one is drawn. */
  #onBegin: (() => void) | null;

  /**
   * @param samplers those whose order it is; the first one with a state is asked for it
   * @param leftOut places in the order that were read already
   * @param onBegin called before anything is drawn, which may be long after the epoch began
   */
  constructor(
    source: Iterable<SampleIndex>,
    samplers: readonly unknown[],
    leftOut: readonly number[],
    onBegin: () => void,
  ) {
    this.#source = source[Symbol.iterator]();
    this.#onBegin = onBegin;
    this.#sampler = samplers.find(isStateful) ?? null;
    this.#leftOut = new Set(leftOut);
  }

  /** How many were drawn or left out. */
  get position(): number {
    return this.#position - (this.#ahead && !this.#ahead.done ? 1 : 0);
  }

  next(): IteratorResult<SampleIndex> {
    const item = this.#ahead ?? this.#draw();
    this.#ahead = null;
    return item;
  }

  #begin(): void {
    this.#onBegin?.();
    this.#onBegin = null;
  }

  #draw(): IteratorResult<SampleIndex> {
    if (this.#onBegin) this.#begin();
    let item = this.#source.next();
    while (!item.done && this.#leftOut.has(this.#position)) {
      this.#position++;
      item = this.#source.next();
    }
    if (!item.done) this.#position++;
    return item;
  }

  /**
   * Goes to a place, and draws what is there ahead: from now on the order doesn't depend on the state of the default generator. A sampler
   * with a state of its own is there already.
   */
  goTo(position: number): void {
    if (this.#sampler) {
      this.#position = position;
      return;
    }
    this.#begin();
    while (this.#position < position && !this.#source.next().done) this.#position++;
    this.#ahead = this.#draw();
  }

  /** The state of the sampler after what was drawn last, where it has one. */
  samplerState(): Record<string, unknown> | null {
    return this.#sampler?.stateDict() ?? null;
  }

  close(): void {
    this.#source.return?.();
  }
}

/** The order of an iterable dataset, whose samples have no numbers. */
export const unnumbered: Iterable<null> = {
  [Symbol.iterator]: () => ({ next: () => ({ done: false, value: null }) }),
};
