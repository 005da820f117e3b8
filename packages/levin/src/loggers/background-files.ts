import { mkdirSync, writeFile, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { atExit } from "./exit.js";
import { notWritten } from "./log-file.js";

/**
 * Whole files that are written without making anybody wait for the disk; at {@link BackgroundFiles.flush} and at the end of the
 * process at the latest. An error in writing is thrown by the next call.
 */
export class BackgroundFiles {
  readonly #pending = new Map<string, Uint8Array | string>();
  #error: unknown;
  #forget: (() => void) | null = null;

  /** Writes a file, in place of one that is there; its folder is made where it doesn't exist. */
  write(path: string, data: Uint8Array | string): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
    this.#forget ??= atExit(() => this.flush());
    mkdirSync(dirname(path), { recursive: true });
    const again = this.#pending.has(path);
    this.#pending.set(path, data);
    if (!again) this.#start(path, data);
  }

  /** Writes at once what is not written yet. */
  flush(): void {
    this.#forget?.();
    this.#forget = null;
    this.#error = undefined;
    const files = [...this.#pending];
    this.#pending.clear();
    for (const [path, data] of files) writeFileSync(path, data);
  }

  #start(path: string, data: Uint8Array | string): void {
    writeFile(path, data, (error) => {
      const newest = this.#pending.get(path);
      if (newest === undefined) return;
      if (newest !== data) return this.#start(path, newest);
      if (error) this.#error = notWritten(path, error);
      else this.#pending.delete(path);
    });
  }
}
