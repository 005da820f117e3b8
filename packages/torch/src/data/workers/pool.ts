import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { getNumThreads, setNumThreads } from "../../device.js";
import { native } from "../../native.js";
import { WorkerError } from "./errors.js";
import { discard, type Packed } from "./portable.js";
import { Control, type FromWorker, type ToWorker, type WorkerStart } from "./protocol.js";

/** What the workers of a pool have in common. */
export type PoolOptions = Pick<
  WorkerStart,
  "numWorkers" | "seed" | "batched" | "batchSize" | "dropLast" | "pinMemory"
> & {
  /** What each worker gets of its own, since tensors are received once. */
  pack(): Pick<WorkerStart, "dataset" | "collate" | "workerInit">;
};

/** What came of a task, and from whom. */
export type Answer = Extract<FromWorker, { kind: "batch" | "failed" }> & { worker: number };
/** An answer, or that there are no more. */
export type Received = Answer | (Extract<FromWorker, { kind: "end" }> & { worker: number });

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  /** What it was given, until it has begun. */
  given: (Packed | undefined)[];
  /** Its number in the addon, once it runs. */
  number: number | null;
  alive: boolean;
  /** How it ended, as far as it could tell. */
  ending: string | null;
}

/** How long a worker may take to stop by itself, in milliseconds. */
const GRACE = 5000;
/** How often it is looked whether workers live where no event tells, in milliseconds. */
const LOOK = 100;
/** How long a thread may take to start where no event tells, in milliseconds. */
const START = 60_000;

// A worker inherits the options of the program, with which it reads TypeScript as that does; this one would make it refuse its own file.
const withoutInputType = process.execArgv.some((option) => option.startsWith("--input-type"))
  ? { execArgv: [] }
  : {};

/** The threads of a loader, and what they have sent. It knows nothing of the order of batches. */
export class WorkerPool {
  readonly seed: bigint;
  readonly #threads: Thread[] = [];
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #inbox: Received[] = [];
  /** When all threads have ended. */
  readonly ended: Promise<unknown>;
  #failure: WorkerError | null = null;
  #closing = false;
  #wake: (() => void) | null = null;
  #epoch = 0;

  /** @throws ArgumentError where the dataset or a function cannot be given to a thread */
  constructor(options: PoolOptions) {
    const { pack, ...common } = options;
    this.seed = options.seed;
    // All is packed before the first thread is started, since packing may fail.
    const packed = Array.from({ length: options.numWorkers }, pack);
    const ends = packed.map((given, id) => this.#startThread(id, { ...common, ...given }));
    this.ended = Promise.all(ends);
  }

  #startThread(id: number, options: Omit<WorkerStart, "id" | "port" | "control">): Promise<void> {
    const { port1: port, port2 } = new MessageChannel();
    const workerData: WorkerStart = { ...options, id, port: port2, control: this.#control };
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData,
      transferList: [port2],
      name: `levin data ${id}`,
      ...withoutInputType,
    });
    const given = [options.dataset, options.collate, options.workerInit];
    const thread: Thread = { worker, port, given, number: null, alive: true, ending: null };
    this.#threads.push(thread);

    port.on("message", (message: FromWorker) => this.#accept(id, message));
    worker.on("error", (error: Error) => {
      thread.ending ??= `was ended by ${error.stack ?? error}`;
    });
    // Nobody waits yet: what keeps the process running is a batch that is awaited, not a thread.
    port.unref();
    worker.unref();
    return new Promise((resolve) => {
      worker.on("exit", (code) => {
        this.#collect();
        thread.alive = false;
        port.close();
        if (thread.number === null) for (const part of thread.given) if (part) discard(part);
        this.#fail(id, `ended with code ${code}`);
        resolve();
      });
    });
  }

  /** Begins an epoch: what belongs to an earlier one is dropped. `states`: where each worker continues. */
  beginEpoch(states: (Packed | null)[]): number {
    this.endEpoch();
    for (const [i, state] of states.entries()) this.post(i, { kind: "begin", epoch: this.#epoch, state });
    return this.#epoch;
  }

  post(worker: number, message: ToWorker): void {
    this.#threads[worker]!.port.postMessage(message);
  }

  /** What has come of this epoch and nobody has taken, if anything. */
  receive(): Received | undefined {
    if (this.#inbox.length === 0) this.#collect();
    return this.#inbox.shift();
  }

  /** Why there may be no more messages: a worker has died. */
  get failure(): WorkerError | null {
    return this.#failure;
  }

  /** Waits for a message or a failure. */
  wait(): Promise<void> {
    for (const { worker, port } of this.#threads) {
      worker.ref();
      port.ref();
    }
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        for (const { worker, port } of this.#threads) {
          worker.unref();
          port.unref();
        }
        resolve();
      };
      if (this.#inbox.length > 0 || this.#failure) this.#wake();
    });
  }

  /** Ends {@link wait} without a message. */
  interrupt(): void {
    this.#wake?.();
  }

  /**
   * The same without turning the event loop: the thread sleeps.
   *
   * @param until when to stop waiting, by `performance.now()`
   */
  waitSync(until: number): void {
    const started = performance.now();
    for (;;) {
      const posted = Atomics.load(this.#control, Control.posted);
      this.#collect();
      const now = performance.now();
      if (this.#inbox.length > 0 || this.#failure || now >= until) return;
      if (Atomics.wait(this.#control, Control.posted, posted, Math.min(LOOK, until - now)) === "timed-out") {
        this.#lookForDead(now - started);
      }
    }
  }

  /** Events that tell of a thread's end need a turn of the event loop. */
  #lookForDead(waited: number): void {
    for (const [id, { number, alive }] of this.#threads.entries()) {
      if (!alive) continue;
      const dead = number === null ? waited > START : !native.isThreadAlive(number);
      if (!dead) continue;
      this.#collect();
      this.#fail(id, number === null ? "did not start" : "ended");
    }
  }

  #fail(id: number, how: string): void {
    if (this.#closing || this.#failure) return;
    const ending = this.#threads[id]!.ending ?? how;
    this.#failure = new WorkerError(
      `DataLoader worker ${id} died: its thread ${ending}. Look for process.exit(), errors outside of getItem, and too little memory.`,
      id,
    );
    this.#wake?.();
  }

  #collect(): void {
    for (const [id, { port }] of this.#threads.entries()) {
      for (let item = receiveMessageOnPort(port); item; item = receiveMessageOnPort(port)) {
        this.#accept(id, item.message as FromWorker);
      }
    }
  }

  #accept(worker: number, message: FromWorker): void {
    const thread = this.#threads[worker]!;
    if (message.kind === "started") {
      thread.number = message.thread;
      thread.given = [];
      // the worker has set 1 for itself and, in libtorch, for threads that are still to come
      setNumThreads(getNumThreads());
      return;
    }
    if (message.kind === "ending") {
      const { failure, code } = message;
      thread.ending ??= failure ? `was ended by ${failure.stack}` : `ended with code ${code}`;
      return;
    }
    if (this.#closing || message.epoch !== this.#epoch) {
      drop(message);
      return;
    }
    this.#inbox.push({ ...message, worker });
    this.#wake?.();
  }

  /** Drops what has come and what is asked for. */
  endEpoch(): void {
    this.#epoch++;
    Atomics.store(this.#control, Control.epoch, this.#epoch);
    for (const message of this.#inbox.splice(0)) drop(message);
  }

  /** Whether it can be used no longer. */
  get closed(): boolean {
    return this.#closing;
  }

  /** Tells the threads to stop; one that doesn't is terminated after a while. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    Atomics.store(this.#control, Control.epoch, 0);
    for (const message of this.#inbox.splice(0)) drop(message);
    for (const i of this.#threads.keys()) this.post(i, { kind: "stop" });
    const timer = setTimeout(() => {
      for (const { worker, alive } of this.#threads) if (alive) worker.terminate();
    }, GRACE);
    timer.unref();
    this.ended.then(() => clearTimeout(timer));
  }

  /** Stops the threads and waits for their end. */
  async join(): Promise<void> {
    this.close();
    for (const { worker, alive } of this.#threads) if (alive) worker.ref();
    await this.ended;
  }
}

/** Frees what a message holds that nobody will read. */
export function drop(message: FromWorker): void {
  if (message.kind !== "batch") return;
  discard(message.batch);
  discard(message.state);
}
