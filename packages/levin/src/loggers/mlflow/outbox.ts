import { closeSync } from "node:fs";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { LightningError } from "../../errors.js";
import { atExit } from "../exit.js";

/** Something to be sent or copied by the outbox's thread. */
export type Job = RequestJob | UploadJob | CopyJob;

/** A request with a body of JSON. */
export interface RequestJob {
  kind: "request";
  method: "GET" | "POST" | "PATCH";
  url: string;
  headers: Record<string, string>;
  body?: string;
}

/** An open file to be put to a URL. */
export interface UploadJob {
  kind: "upload";
  file: number;
  url: string;
  headers: Record<string, string>;
}

/** An open file to be copied to a path. */
export interface CopyJob {
  kind: "copy";
  file: number;
  path: string;
}

/** What the thread says when it is done with a job. */
export type Answer = { value: unknown } | { failure: Failure };

/** Why a job failed. */
export interface Failure {
  message: string;
  /** Whether it may succeed another time: the server was not reached, or was overloaded. */
  passing: boolean;
  /** The server's code for the error, such as `RESOURCE_DOES_NOT_EXIST`. */
  code?: string;
}

/** A job that failed, told to one who waited for it. */
export class OutboxError extends LightningError {
  override name = "OutboxError";
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** The places of the numbers that both threads see: how many jobs are done, and whether it is time to come to an end. */
export const DONE = 0;
export const HURRY = 1;

/** How long the end of the process waits for what is under way, in milliseconds. */
const EXIT_WAIT = 10_000;
/** How long a caller waits for an answer: longer than the thread gives a server in a hurry. */
const SEND_WAIT = 60_000;

/**
 * Sends jobs in their order from a thread of its own: in the background, or, where somebody needs the answer at once, while the
 * caller waits. At the end of the process it waits a few seconds for what is under way.
 */
export class Outbox {
  readonly #onAnswer: (job: Job, failure: Failure | null) => void;
  /** Adds the last jobs at the end of the process. */
  readonly #beforeExit: () => void;
  #thread: { worker: Worker; port: MessagePort; numbers: Int32Array; forget: () => void } | null = null;
  /** The jobs under way, the oldest first. */
  #jobs: { job: Job; answer?: (answer: Answer) => void }[] = [];
  #posted = 0;
  #settled: (() => void) | null = null;

  /** @param onAnswer is told of each job in the background when it is done */
  constructor(onAnswer: (job: Job, failure: Failure | null) => void, beforeExit: () => void) {
    this.#onAnswer = onAnswer;
    this.#beforeExit = beforeExit;
  }

  /** How many jobs are under way. */
  get outstanding(): number {
    return this.#jobs.length;
  }

  /** Does a job in the background. */
  post(job: Job): void {
    this.#post(job);
  }

  /**
   * Does a job after those that are under way, and waits for its answer; a server that doesn't answer gets little time.
   *
   * @throws OutboxError where it fails
   */
  send(job: Job): unknown {
    let answer: Answer | undefined;
    this.#post(job, (given) => {
      answer = given;
    });
    const { numbers } = this.#thread!;
    Atomics.store(numbers, HURRY, 1);
    while (!answer) {
      if (!this.#waitForOne(SEND_WAIT)) answer = { failure: { message: "No answer came.", passing: true } };
    }
    Atomics.store(numbers, HURRY, 0);
    if ("failure" in answer) throw new OutboxError(answer.failure);
    return answer.value;
  }

  /** Waits until nothing is under way; a server that doesn't answer gets little time from now on. */
  async settle(): Promise<void> {
    if (!this.#thread) return;
    const { numbers, port } = this.#thread;
    Atomics.store(numbers, HURRY, 1);
    port.ref();
    while (this.#jobs.length > 0) {
      await new Promise<void>((resolve) => {
        this.#settled = resolve;
      });
    }
    port.unref();
    Atomics.store(numbers, HURRY, 0);
  }

  /** Ends the thread. Another job starts a new one. */
  close(): void {
    this.#thread?.forget();
    this.#thread?.port.close();
    void this.#thread?.worker.terminate();
    this.#thread = null;
  }

  #post(job: Job, answer?: (answer: Answer) => void): void {
    this.#thread ??= this.#start();
    this.#jobs.push({ job, answer });
    this.#posted++;
    this.#thread.port.postMessage(job);
  }

  #start() {
    const { port1: port, port2 } = new MessageChannel();
    const numbers = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL("./outbox-thread.js", import.meta.url), {
      name: "levin outbox",
      workerData: { port: port2, numbers },
      transferList: [port2],
      // a program that was given by -e is of a kind that files cannot be
      execArgv: process.execArgv.filter((flag) => !flag.startsWith("--input-type")),
    });
    worker.unref();
    worker.on("error", ({ message }) => {
      this.close();
      while (this.#jobs.length > 0) this.#receive({ failure: { message, passing: false } });
    });
    this.#posted = 0;
    port.on("message", (answer: Answer) => this.#receive(answer));
    port.unref();
    return { worker, port, numbers, forget: atExit(() => this.#finish()) };
  }

  #receive(answer: Answer): void {
    const { job, answer: answered } = this.#jobs.shift()!;
    if (job.kind !== "request") closeSync(job.file);
    if (answered) answered(answer);
    else this.#onAnswer(job, "failure" in answer ? answer.failure : null);
    this.#settled?.();
  }

  /** Waits for the answer to the oldest job, without the event loop; gives whether it came in time. */
  #waitForOne(milliseconds: number): boolean {
    const { numbers, port } = this.#thread!;
    const before = this.#posted - this.#jobs.length;
    if (Atomics.wait(numbers, DONE, before, milliseconds) === "timed-out") return false;
    const received = receiveMessageOnPort(port);
    if (received) this.#receive(received.message as Answer);
    return true;
  }

  #finish(): void {
    this.#beforeExit();
    const end = Date.now() + EXIT_WAIT;
    Atomics.store(this.#thread!.numbers, HURRY, 1);
    while (this.#jobs.length > 0) {
      if (this.#waitForOne(end - Date.now())) continue;
      process.stderr.write(
        `A logger could not send ${this.#jobs.length} requests before the process ended.\n`,
      );
      return;
    }
  }
}
