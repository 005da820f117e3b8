import type { createLogUpdate } from "log-update";

type Write = typeof process.stdout.write;
type WriteArguments = Parameters<Write>;

/**
 * Lines at the lower end of the terminal that are drawn over and over. What the program prints in the meantime, to
 * standard output or standard error, appears above them.
 */
export class LiveLines {
  readonly #draw: ReturnType<typeof createLogUpdate>;
  readonly #streams = [process.stdout, process.stderr].filter((stream) => stream.isTTY);
  readonly #writes = this.#streams.map((stream) => stream.write as Write);
  #text = "";
  /** Whether the program has printed part of a line. */
  #midLine = false;
  #intercepting = false;

  constructor(create: typeof createLogUpdate) {
    const write = process.stdout.write.bind(process.stdout);
    const stream = Object.create(process.stdout, { write: { value: write } }) as NodeJS.WriteStream;
    this.#draw = create(stream, { showCursor: true });
  }

  /** How many characters fit in a line. */
  get width(): number {
    return process.stdout.columns || 80;
  }

  /** Draws the lines in place of those before. */
  show(lines: string[]): void {
    this.#intercept();
    this.#text = lines.join("\n");
    this.#redraw();
  }

  /** Removes the lines and prints one for good. */
  keep(line: string): void {
    this.#draw.clear();
    this.#text = "";
    this.#writes[0]!.call(process.stdout, `${line}\n`);
  }

  /** Removes the lines and lets the program print as before. */
  close(): void {
    this.#draw.clear();
    this.#text = "";
    if (!this.#intercepting) return;
    this.#intercepting = false;
    for (const [i, stream] of this.#streams.entries()) stream.write = this.#writes[i]!;
  }

  #redraw(): void {
    if (this.#text === "") return;
    if (this.#midLine) {
      this.#writes[0]!.call(process.stdout, "\n");
      this.#midLine = false;
    }
    this.#draw(this.#text);
  }

  #intercept(): void {
    if (this.#intercepting) return;
    this.#intercepting = true;
    for (const [i, stream] of this.#streams.entries()) {
      const write = this.#writes[i]!;
      stream.write = ((...args: WriteArguments): boolean => {
        if (!this.#midLine) this.#draw.clear();
        const [chunk] = args;
        const done = write.apply(stream, args);
        this.#midLine = !endsLine(chunk);
        if (!this.#midLine) this.#redraw();
        return done;
      }) as Write;
    }
  }
}

/** The terminal on standard output; null where that is something else. */
export async function openTerminal(): Promise<LiveLines | null> {
  if (!process.stdout.isTTY) return null;
  const { createLogUpdate } = await import("log-update");
  return new LiveLines(createLogUpdate);
}

function endsLine(chunk: string | Uint8Array): boolean {
  return chunk.length === 0 || (typeof chunk === "string" ? chunk.endsWith("\n") : chunk.at(-1) === 10);
}
