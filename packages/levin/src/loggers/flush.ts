/** How long what was logged may stay in memory, in milliseconds. */
const DELAY = 200;

const open = new Set<FlushTimer>();

/**
 * Writes what is buffered a little later, so that a step never waits for the disk; at the end of the process at the latest.
 *
 * An error in writing is thrown by the next call, to reach the program that logs.
 */
export class FlushTimer {
  readonly #write: () => void;
  #timer: NodeJS.Timeout | undefined;
  #error: unknown;

  /** @param write writes the buffer, synchronously */
  constructor(write: () => void) {
    this.#write = write;
    if (open.size === 0) process.once("exit", flushAll);
    open.add(this);
  }

  /** Writes within the next moments. */
  soon(): void {
    this.#throwIfFailed();
    this.#timer ??= setTimeout(() => this.#run(), DELAY).unref();
  }

  /** Writes at once. */
  now(): void {
    this.#run();
    this.#throwIfFailed();
  }

  /** Writes at once, for the last time. */
  close(): void {
    open.delete(this);
    if (open.size === 0) process.removeListener("exit", flushAll);
    this.now();
  }

  #run(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#write();
    } catch (error) {
      this.#error = error;
    }
  }

  #throwIfFailed(): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
  }
}

function flushAll(): void {
  for (const timer of open) {
    try {
      timer.now();
    } catch (error) {
      process.stderr.write(`A logger could not write at the end of the process: ${String(error)}\n`);
    }
  }
}
