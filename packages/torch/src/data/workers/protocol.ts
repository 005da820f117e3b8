import type { MessagePort } from "node:worker_threads";
import type { SampleIndex } from "../fetch.js";
import type { ReaderState } from "../state.js";
import type { Packed } from "./portable.js";

/** What a worker thread is started with. */
export interface WorkerStart {
  id: number;
  numWorkers: number;
  /** The base seed of all workers. */
  seed: bigint;
  /** The worker's end of the channel. */
  port: MessagePort;
  /** Memory that both sides see: {@link Control}. */
  control: Int32Array;
  dataset: Packed;
  collate: Packed | undefined;
  workerInit: Packed | undefined;
  batched: boolean;
  batchSize: number | null;
  dropLast: boolean;
  pinMemory: boolean;
}

/** The places in the shared memory. */
export const Control = {
  /** The number of the current epoch: work for another one is left undone. 0 when the workers are to stop. */
  epoch: 0,
  /** Counts the messages of all workers, and wakes up who waits for one without turning the event loop. */
  posted: 1,
} as const;

/** What a worker's sequence depends on, as it was after a batch. */
export interface WorkerState extends ReaderState {
  /** Of the worker's default generator. */
  generator: Uint8Array;
  /** Of its `Math.random`. */
  random: number;
}

export type ToWorker =
  | { kind: "begin"; epoch: number; state: Packed | null }
  | { kind: "read"; epoch: number; task: number; index: SampleIndex }
  | { kind: "stop" };

/** An error, in a form that can be posted. */
export interface Failure {
  name: string;
  message: string;
  stack: string;
  code?: string;
}

export type FromWorker =
  /** The thread runs. */
  | { kind: "started"; thread: number }
  /** The thread ends, by an error that nobody caught or with an exit code. */
  | { kind: "ending"; failure: Failure | null; code: number | null }
  | { kind: "batch"; epoch: number; task: number; batch: Packed; state: Packed }
  /** An iterable dataset is exhausted. */
  | { kind: "end"; epoch: number; task: number }
  | { kind: "failed"; epoch: number; task: number; failure: Failure };
