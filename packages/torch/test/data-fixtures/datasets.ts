// Datasets and functions for the tests of workers, in a module of their own that workers can import.
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";

/** What a worker knows of itself: rows of [index, worker, seed], as the recorded cases of PyTorch have them. */
export class Traces implements data.Dataset<Tensor> {
  constructor(readonly length: number) {}

  getItem(index: number): Tensor {
    const { id, seed } = data.getWorkerInfo()!;
    return torch.tensor([BigInt(index), BigInt(id), seed]);
  }
}

/** Random numbers of the worker: of torch and of JavaScript. */
export class Noise implements data.Dataset<[index: number, drawn: Tensor, math: Tensor]> {
  constructor(readonly length: number) {}

  getItem(index: number): [number, Tensor, Tensor] {
    return [index, torch.rand([2]), torch.tensor(Math.random())];
  }
}

/** Fails, dies or hangs at one sample. */
export class Trouble implements data.Dataset<number> {
  readonly length = 8;
  constructor(
    readonly at: number,
    readonly how: "throw" | "exit" | "uncaught" | "hang",
  ) {}

  getItem(index: number): number | Promise<number> {
    if (index !== this.at) return index;
    switch (this.how) {
      case "throw":
        throw new RangeError(`sample ${index} is bad`);
      case "exit":
        return process.exit(3);
      case "uncaught":
        setTimeout(() => {
          throw new Error("nobody catches this");
        });
        return new Promise(() => {});
      case "hang":
        return new Promise(() => {});
    }
  }
}

/** Has private fields, so it says with which arguments it is made. */
export class Private implements data.Dataset<number> {
  readonly #length: number;
  readonly #offset: number;
  constructor(length: number, options: { offset: number }) {
    this.#length = length;
    this.#offset = options.offset;
  }
  get length(): number {
    return this.#length;
  }
  getItem(index: number): number {
    return index + this.#offset;
  }
  workerArguments(): ConstructorParameters<typeof Private> {
    return [this.#length, { offset: this.#offset }];
  }
}

/** Has private fields, but says nothing. */
export class Secretive implements data.Dataset<number> {
  readonly #value = 1;
  readonly length = 4;
  getItem(): number {
    return this.#value;
  }
}

/** Deals its numbers out over workers; `uneven`: worker 0 gets only the first. */
export class Stream {
  constructor(
    readonly length: number,
    readonly uneven = false,
  ) {}

  *[Symbol.iterator](): IterableIterator<Tensor> {
    const { id, numWorkers } = data.getWorkerInfo() ?? { id: 0, numWorkers: 1 };
    for (let i = id; i < this.length; i += numWorkers) {
      yield torch.tensor(i);
      if (this.uneven && id === 0) return;
    }
  }
}

/** The same from promises. */
export class AsyncStream {
  constructor(readonly length: number) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Tensor> {
    const { id, numWorkers } = data.getWorkerInfo() ?? { id: 0, numWorkers: 1 };
    for (let i = id; i < this.length; i += numWorkers) {
      await new Promise((resolve) => setImmediate(resolve));
      yield torch.tensor(i);
    }
  }
}

/** Counts on from where its state says, and how often it was asked for a sample since it was made. */
export class Counter implements data.Stateful {
  #at = 0;
  constructor(readonly end: number) {}

  *[Symbol.iterator](): IterableIterator<number[]> {
    const { id, numWorkers } = data.getWorkerInfo() ?? { id: 0, numWorkers: 1 };
    for (let asked = 1; this.#at < this.end; asked++) yield [this.#at++ * numWorkers + id, asked];
    this.#at = 0;
  }
  stateDict(): Record<string, unknown> {
    return { at: this.#at };
  }
  loadStateDict(state: Record<string, unknown>): void {
    this.#at = state.at as number;
  }
  workerArguments(): [number] {
    return [this.end];
  }
}

/** How many samples this thread has made, and what `setUp` has left. */
export class Thread implements data.Dataset<number[]> {
  mark = -1;
  constructor(readonly length: number) {}

  getItem(): number[] {
    return [data.getWorkerInfo()!.id, this.mark, ++made];
  }
}
let made = 0;

export function setUp(id: number): void {
  (data.getWorkerInfo()!.dataset as Thread).mark = 100 + id;
}

export function setUpBadly(): void {
  throw new Error("cannot set up");
}

export function sum(samples: number[]): { total: number; worker: number; when: Date } {
  const total = samples.reduce((a, b) => a + b, 0);
  return { total, worker: data.getWorkerInfo()!.id, when: new Date(0) };
}

export const double = (images: Tensor): Tensor => images.mul(2);

data.forWorkers(import.meta.url, {
  Traces,
  Noise,
  Trouble,
  Private,
  Secretive,
  Stream,
  AsyncStream,
  Counter,
  Thread,
  setUp,
  setUpBadly,
  sum,
  double,
});
