import type { Awaitable } from "../hooks.js";
import { isThenable } from "../thenable.js";

/** Keeps what storage has under way, so that the loops can wait for it and its errors are not lost. */
export class StorageQueue {
  #pending: Promise<void> | null = null;

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#pending !== null;
  }

  /** Does something after what is under way; at once where there is nothing. */
  run(action: () => Awaitable<void>): Awaitable<void> {
    const before = this.#pending;
    const started = before ? before.then(action) : action();
    if (!isThenable(started)) return;
    const pending = Promise.resolve(started);
    this.#pending = pending;
    // whoever waits gets the error; that nobody waits yet is not one more
    pending.catch(() => {});
    return pending;
  }

  /** Waits for what is under way; throws its error. */
  async settle(): Promise<void> {
    while (this.#pending) {
      const pending = this.#pending;
      try {
        await pending;
      } finally {
        if (this.#pending === pending) this.#pending = null;
      }
    }
  }
}
