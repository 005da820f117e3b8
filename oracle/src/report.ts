/** Thrown by a case whose class or function `@levin/torch` does not have yet: the case counts as skipped. */
export class NotCovered extends Error {}

/** Thrown by a case whose result is not the recorded one; the message says what differs first. */
export class Mismatch extends Error {}

interface Outcome {
  name: string;
  reason: string;
}

/** What happened to every case, and the text about it. */
export class Report {
  readonly passed: string[] = [];
  readonly failed: Outcome[] = [];
  readonly skipped: Outcome[] = [];
  readonly #only: RegExp | undefined;
  readonly #verbose: boolean;

  /**
   * @param options - `only`: run no other cases than those whose name matches; `verbose`: show where a failing case threw.
   */
  constructor(options: { only?: string | undefined; verbose?: boolean | undefined } = {}) {
    this.#only = options.only === undefined ? undefined : new RegExp(options.only);
    this.#verbose = options.verbose ?? false;
  }

  /** Runs one case. Whatever it throws is its own outcome and does not stop the others. */
  async run(name: string, body: () => unknown): Promise<void> {
    if (this.#only !== undefined && !this.#only.test(name)) return;
    try {
      await body();
      this.passed.push(name);
    } catch (error) {
      if (error instanceof NotCovered) this.skipped.push({ name, reason: error.message });
      else this.failed.push({ name, reason: this.#describe(error) });
    }
  }

  #describe(error: unknown): string {
    if (!(error instanceof Error)) return `threw ${String(error)}`;
    if (error instanceof Mismatch) return error.message;
    if (this.#verbose) return error.stack ?? error.message;
    return `${error.name}: ${error.message}`;
  }

  /** The whole text: skipped cases, failed cases with the reason, counts by group, the closing line. */
  text(): string {
    const lines: string[] = [];
    for (const { name, reason } of this.skipped) lines.push(`skipped ${name}: ${reason}`);
    for (const { name, reason } of this.failed) lines.push(`FAILED  ${name}: ${reason}`);
    lines.push(...this.#byGroup());
    lines.push(`${this.passed.length} passed, ${this.failed.length} failed, ${this.skipped.length} skipped`);
    return lines.join("\n");
  }

  #byGroup(): string[] {
    const groups = new Map<string, [number, number, number]>();
    const count = (names: string[], place: 0 | 1 | 2) => {
      for (const name of names) {
        const group = name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
        const row = groups.get(group) ?? [0, 0, 0];
        row[place] += 1;
        groups.set(group, row);
      }
    };
    count(this.passed, 0);
    count(
      this.failed.map((o) => o.name),
      1,
    );
    count(
      this.skipped.map((o) => o.name),
      2,
    );
    if (groups.size < 2) return [];
    return [...groups].map(
      ([group, [ok, bad, not]]) => `${group}: ${ok} passed, ${bad} failed, ${not} skipped`,
    );
  }
}
