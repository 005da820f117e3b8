import { LevinError } from "../../errors.js";
import type { NumberCollate } from "../collate.js";
import { finished, type LoaderIterator } from "../epoch.js";
import type { Order } from "../order.js";
import { countBatch, type Progress } from "../state.js";
import { errorOf } from "./errors.js";
import { type Answer, drop, type WorkerPool } from "./pool.js";
import { findExported, pack, type Reference, unpack } from "./portable.js";
import type { WorkerState } from "./protocol.js";

/** How an epoch uses its workers. */
export interface WorkerEpochOptions {
  numWorkers: number;
  prefetchFactor: number;
  inOrder: boolean;
  /** In seconds; 0: none. */
  timeout: number;
  /** Whether the workers go on living after it. */
  persistentWorkers: boolean;
  collateNumbers: NumberCollate;
}

/** One batch that a worker was asked for. */
interface Task {
  readonly worker: number;
  readonly samplerState: Record<string, unknown> | null;
  /** What came of it before its turn. */
  received: Answer | null;
}

/**
 * An epoch that workers read. Tasks are dealt out in turn, a few ahead for each worker, and their batches are given in the same order; an
 * iterable dataset's worker that has come to its end is left out from then on.
 */
export class WorkerEpoch<Batch> implements LoaderIterator<Batch> {
  readonly #pool: WorkerPool;
  readonly #order: Order;
  readonly #progress: Progress;
  readonly #options: WorkerEpochOptions;
  readonly #tasks = new Map<number, Task>();
  /** Whether a worker still has something to give in this epoch. */
  readonly #active: boolean[];
  /** How many tasks each one has that were not given. */
  readonly #load: number[];
  readonly #epoch: number;
  #nextWorker: number;
  /** The next task to be dealt out, and the next one to be given. */
  #sent: number;
  #given: number;
  /** Given ahead of their turn. */
  readonly #ahead: Set<number>;
  #allSent = false;
  #allGiven = false;
  #closed = false;
  #last: Promise<unknown> | null = null;

  constructor(pool: WorkerPool, order: Order, progress: Progress, options: WorkerEpochOptions) {
    const { numWorkers, prefetchFactor } = options;
    this.#pool = pool;
    this.#order = order;
    this.#progress = progress;
    this.#options = options;
    this.#active = Array(numWorkers).fill(true);
    this.#load = Array(numWorkers).fill(0);
    this.#nextWorker = (progress.lastWorker + 1) % numWorkers;
    this.#sent = this.#given = order.position;
    this.#ahead = new Set(progress.ahead);
    const states = progress.workers.map((state) => state && pack(state, "state"));
    this.#epoch = pool.beginEpoch(states);
    for (let i = 0; i < prefetchFactor * numWorkers; i++) this.#deal();
  }

  next(): IteratorResult<Batch, undefined> | Promise<IteratorResult<Batch, undefined>> {
    if (this.#last === null) {
      const step = this.#take();
      if (step) return step;
    }
    // several calls that wait are answered one after the other
    const waiting = (this.#last ?? Promise.resolve()).then(() => this.#wait());
    const last = waiting.then(
      () => {},
      () => {},
    );
    this.#last = last;
    last.then(() => {
      if (this.#last === last) this.#last = null;
    });
    return waiting;
  }

  async #wait(): Promise<IteratorResult<Batch, undefined>> {
    const { timeout } = this.#options;
    let late = false;
    const timer =
      timeout > 0 &&
      setTimeout(() => {
        late = true;
        this.#pool.interrupt();
      }, timeout * 1000);
    try {
      for (;;) {
        const step = this.#take();
        if (step) return step;
        if (late) throw this.#end(timedOut(timeout));
        await this.#pool.wait();
      }
    } finally {
      if (timer) clearTimeout(timer);
    }
  }

  nextSync(): IteratorResult<Batch, undefined> {
    const { timeout } = this.#options;
    const until = timeout > 0 ? performance.now() + timeout * 1000 : Number.POSITIVE_INFINITY;
    for (;;) {
      const step = this.#take();
      if (step) return step;
      if (performance.now() >= until) throw this.#end(timedOut(timeout));
      this.#pool.waitSync(until);
    }
  }

  return(): IteratorResult<Batch, undefined> {
    this.#close();
    return finished;
  }

  /** Asks a worker for the next batch, if there is one. */
  #deal(): void {
    const index = this.#order.next();
    if (index.done) {
      this.#allSent = true;
      return;
    }
    const worker = this.#chooseWorker();
    if (worker === null) return;
    const task = this.#order.position - 1;
    this.#tasks.set(task, { worker, samplerState: this.#order.samplerState(), received: null });
    this.#load[worker]!++;
    this.#sent = task + 1;
    this.#pool.post(worker, { kind: "read", epoch: this.#epoch, task, index: index.value });
  }

  #chooseWorker(): number | null {
    const { numWorkers, prefetchFactor, inOrder } = this.#options;
    const most = Math.floor((prefetchFactor * numWorkers) / this.#active.filter(Boolean).length);
    for (let i = 0; i < numWorkers; i++) {
      const worker = this.#nextWorker;
      this.#nextWorker = (worker + 1) % numWorkers;
      if (this.#active[worker] && (inOrder || this.#load[worker]! < most)) return worker;
    }
    return null;
  }

  /** The next step, where it needn't be waited for. */
  #take(): IteratorResult<Batch, undefined> | null {
    if (this.#closed) {
      if (this.#allGiven) this.#progress.finished = true;
      return finished;
    }
    for (;;) {
      const turn = this.#turn();
      if (turn === null) {
        this.#progress.finished = true;
        this.#close();
        return finished;
      }
      if (turn.received) return this.#give(turn.received);

      const received = this.#pool.receive();
      if (received === undefined) {
        if (this.#pool.failure) throw this.#end(this.#pool.failure);
        return null;
      }
      const { task, worker } = received;
      if (received.kind === "end") {
        this.#active[worker] = false;
        this.#deal();
      } else if (task === this.#given || !this.#options.inOrder) {
        return this.#give(received);
      } else {
        this.#tasks.get(task)!.received = received;
      }
    }
  }

  /** The task whose turn it is; null at the end. */
  #turn(): Task | null {
    for (; this.#given < this.#sent; this.#given++) {
      const task = this.#tasks.get(this.#given);
      if (task && (task.received || this.#active[task.worker])) return task;
      this.#tasks.delete(this.#given);
    }
    return null;
  }

  #give(received: Answer): IteratorResult<Batch, undefined> {
    const { task, worker } = received;
    const { samplerState } = this.#tasks.get(task)!;
    this.#tasks.delete(task);
    this.#load[worker]!--;
    this.#deal();
    if (received.kind === "failed") throw this.#end(errorOf(received.failure, worker), "keep workers");

    const { collateNumbers } = this.#options;
    const batch = unpack(received.batch, { resolve, collateNumbers }) as Batch;
    const progress = this.#progress;
    progress.workers[worker] = unpack(received.state, { resolve }) as WorkerState;
    progress.lastWorker = worker;
    countBatch(progress);
    progress.sampler = samplerState;
    if (task !== this.#given) {
      this.#ahead.add(task);
      progress.ahead = [...this.#ahead];
    } else {
      this.#given++;
      if (this.#ahead.size > 0) {
        while (this.#ahead.delete(this.#given)) this.#given++;
        progress.ahead = [...this.#ahead];
      }
    }
    // Who knows the number of batches doesn't ask for one more: the workers are told now that there is none.
    if (this.#allSent && this.#turn() === null) {
      this.#allGiven = true;
      this.#close();
    }
    return { done: false, value: batch };
  }

  /** Ends the epoch by an error, which is returned. */
  #end(error: Error, workers: "keep workers" | "stop workers" = "stop workers"): Error {
    this.#close(workers);
    return error;
  }

  #close(workers: "keep workers" | "stop workers" = "keep workers"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#order.close();
    for (const { received } of this.#tasks.values()) if (received) drop(received);
    this.#tasks.clear();
    if (this.#options.persistentWorkers && workers === "keep workers") this.#pool.endEpoch();
    else this.#pool.close();
  }
}

function resolve(reference: Reference): NonNullable<ReturnType<typeof findExported>> {
  const found = findExported(reference);
  if (found) return found;
  throw new LevinError(
    `DataLoader: a batch holds an object of ${reference.name} of ${reference.module}, which was not imported here. ` +
      "Import that module where the loader is read.",
  );
}

function timedOut(seconds: number): LevinError {
  return new LevinError(`DataLoader timed out after ${seconds} seconds: no batch came from the workers.`);
}
