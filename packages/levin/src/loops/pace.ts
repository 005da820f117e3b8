/** How long the loops keep the event loop waiting at most, in milliseconds. */
const patience = 50;

/**
 * Lets signals, timers and messages be served: loops whose hooks are all synchronous would otherwise never reach the
 * event loop.
 */
export class Pace {
  #last = performance.now();

  /** Whether it is time to serve the event loop: then await {@link rest}. */
  get isDue(): boolean {
    return performance.now() - this.#last >= patience;
  }

  /** Serves the event loop once. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#last = performance.now();
  }
}
