import { isMainThread } from "node:worker_threads";
import type { SLURMEnvironment } from "./environments/slurm.js";
import { KeyboardInterrupt, SIGTERMException } from "./errors.js";
import { note } from "./messages.js";

type Listener = [signal: NodeJS.Signals, listener: () => void];

/**
 * Listens, while a run goes on, to Ctrl-C (SIGINT), to SIGTERM, and to the signal by which SLURM announces the end of a job's time. What
 * came is served by the loops where it is safe: the handlers only take note. The second Ctrl-C or SIGTERM ends the process.
 */
export class RunSignals {
  /** Whether SIGTERM came in this run. */
  receivedSigterm = false;
  /** Whether SLURM wants the job to be queued again. */
  requeueRequested = false;
  #interrupt: KeyboardInterrupt | null = null;
  #listeners: Listener[] = [];

  constructor(readonly environment: SLURMEnvironment | null) {}

  /** Begins to listen. */
  start(): void {
    this.#interrupt = null;
    this.receivedSigterm = false;
    this.requeueRequested = false;
    if (this.#listeners.length > 0 || !isMainThread) return;
    this.#listen("SIGINT", this.#onInterrupt);
    this.#listen("SIGTERM", this.#onTerminate);
    const { environment } = this;
    // a listener of the user's own has precedence
    if (environment?.autoRequeue && process.listenerCount(environment.requeueSignal) === 0) {
      this.#listen(environment.requeueSignal, () => {
        this.requeueRequested = true;
      });
    }
  }

  stop(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
    this.#listeners = [];
  }

  /**
   * Throws what Ctrl-C asked for. From then on nothing listens any more: the system itself ends the process at the next
   * one, even where the end of the run does not come to the event loop.
   */
  throwIfInterrupted(): void {
    if (!this.#interrupt) return;
    this.stop();
    throw this.#interrupt;
  }

  /** Throws what SIGTERM asked for. */
  throwIfTerminated(): void {
    if (!this.receivedSigterm) return;
    this.stop();
    throw new SIGTERMException();
  }

  #listen(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener);
    this.#listeners.push([signal, listener]);
  }

  readonly #onInterrupt = (): void => {
    if (this.#interrupt) process.exit(130);
    note("\nInterrupted: ending gracefully. Press Ctrl-C again to end at once.");
    this.#interrupt = new KeyboardInterrupt();
  };

  readonly #onTerminate = (): void => {
    if (this.receivedSigterm) process.exit(143);
    note("\nReceived SIGTERM: ending gracefully. A second one ends the process at once.");
    this.receivedSigterm = true;
  };
}
