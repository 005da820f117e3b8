// What a worker thread of a loader runs.
import "../../index.js"; // gives tensors their methods
import { workerData } from "node:worker_threads";
import { setNumThreads } from "../../device.js";
import { native } from "../../native.js";
import { fromTypedArray } from "../../ops.js";
import { defaultGenerator } from "../../random.js";
import type { Collate } from "../collate.js";
import type { Dataset } from "../dataset.js";
import {
  end,
  isThenable,
  makeReader,
  type Reader,
  type ReaderOptions,
  type SampleIndex,
  then,
} from "../fetch.js";
import { pinMemory } from "../pin-memory.js";
import { importModule } from "./import-module.js";
import { markWorkerThread, setWorkerInfo } from "./info.js";
import {
  findExported,
  modulesOf,
  type Packed,
  PendingNumbers,
  pack,
  type Reference,
  unpack,
} from "./portable.js";
import {
  Control,
  type Failure,
  type FromWorker,
  type ToWorker,
  type WorkerStart,
  type WorkerState,
} from "./protocol.js";
import { SeededRandom } from "./seeded-random.js";

const { id, numWorkers, port, control, ...start } = workerData as WorkerStart;

function post(message: FromWorker): void {
  port.postMessage(message);
  Atomics.add(control, Control.posted, 1);
  Atomics.notify(control, Control.posted);
}

// Before the loader's thread is told, which then puts right what this does to the default of new threads.
setNumThreads(1);
// That thread has to know this one before anything can go wrong here.
post({ kind: "started", thread: native.threadId() });
process.on("uncaughtExceptionMonitor", (error) =>
  post({ kind: "ending", failure: describe(error), code: null }),
);
process.on("exit", (code) => post({ kind: "ending", failure: null, code }));

const seed = start.seed + BigInt(id);
const random = new SeededRandom(Number(BigInt.asUintN(32, seed)));

markWorkerThread();

/** What the thread is after its start: the dataset and how it is read. */
const ready = prepare();
ready.catch(() => {}); // told with the first batch

async function prepare(): Promise<{ dataset: Dataset; options: ReaderOptions }> {
  defaultGenerator.manualSeed(seed);
  Math.random = () => random.next();

  const packed = [start.dataset, start.collate, start.workerInit].filter((part) => part !== undefined);
  const modules = new Map<string, Record<string, unknown>>();
  for (const module of new Set(packed.flatMap((part) => [...modulesOf(part)]))) {
    modules.set(module, await importModule(module));
  }
  const resolve = (reference: Reference) => {
    const found = modules.get(reference.module)?.[reference.name] ?? findExported(reference);
    if (typeof found === "function") return found as never;
    throw new Error(
      `${reference.module} exports no class or function ${reference.name}, which forWorkers() was told of: export it by that name.`,
    );
  };
  const get = (part: Packed | undefined) => part && unpack(part, { resolve });

  const dataset = get(start.dataset) as Dataset;
  const collate = get(start.collate) as Collate | undefined;
  const workerInit = get(start.workerInit) as ((id: number) => unknown) | undefined;
  setWorkerInfo(Object.freeze({ id, numWorkers, seed, dataset }));
  await workerInit?.(id);

  const { batched, batchSize, dropLast } = start;
  const collateNumbers = (numbers: readonly number[], place: number, path: string) =>
    new PendingNumbers(numbers, place, path);
  return { dataset, options: { batched, batchSize, dropLast, collate, collateNumbers } };
}

let reader: Reader;

async function begin(state: WorkerState | null): Promise<void> {
  const { dataset, options } = await ready;
  reader = makeReader(dataset, options, state ?? undefined);
  await reader.start();
  if (state) {
    defaultGenerator.setState(fromTypedArray(state.generator));
    random.state = state.random;
  }
}

function read(epoch: number, task: number, index: SampleIndex): void | PromiseLike<void> {
  if (Atomics.load(control, Control.epoch) !== epoch) return;
  return then(reader.read(index), (batch) => {
    if (batch === end) return post({ kind: "end", epoch, task });
    const whole = start.pinMemory ? pinMemory(batch) : batch;
    const packed = pack(whole, "the batch");
    post({ kind: "batch", epoch, task, batch: packed, state: pack(stateNow(), "the dataset's state") });
  }) as void | PromiseLike<void>;
}

function stateNow(): WorkerState {
  const generator = defaultGenerator.getState().toTypedArray() as Uint8Array;
  return { ...reader.state(), generator, random: random.state };
}

/** What went wrong when the epoch began; the answer to every batch that is asked for. */
let failure: Failure | null = null;

function handle(message: ToWorker): void | PromiseLike<void> {
  switch (message.kind) {
    case "begin": {
      failure = null;
      const state =
        message.state && (unpack(message.state, { resolve: () => undefined as never }) as WorkerState);
      return begin(state).catch((error) => {
        failure = describe(error);
      });
    }
    case "read": {
      const { epoch, task, index } = message;
      if (failure) return post({ kind: "failed", epoch, task, failure });
      const fail = (error: unknown) => post({ kind: "failed", epoch, task, failure: describe(error) });
      try {
        const reading = read(epoch, task, index);
        return isThenable(reading) ? reading.then(undefined, fail) : undefined;
      } catch (error) {
        return fail(error);
      }
    }
    case "stop":
      reader?.close();
      port.close();
  }
}

function describe(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: String(error) };
  const { name, message, stack, code } = error as Error & { code?: string };
  return {
    name,
    message,
    stack: stack ?? `${name}: ${message}`,
    ...(typeof code === "string" ? { code } : {}),
  };
}

// Messages are handled one after the other, also where the dataset gives promises.
let last: void | PromiseLike<void>;
let waiting = 0;
port.on("message", (message: ToWorker) => {
  if (waiting === 0) {
    last = handle(message);
  } else {
    last = last!.then(() => handle(message));
  }
  if (!isThenable(last)) return;
  waiting++;
  last.then(() => {
    waiting--;
  });
});
