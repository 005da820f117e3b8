const shown = new Set<string>();
let quiet = false;

/** Turns the trainer's notes and warnings off or on. */
export function setQuiet(value: boolean): void {
  quiet = value;
}

/** Whether notes and warnings are turned off. */
export function isQuiet(): boolean {
  return quiet;
}

/** A warning to the user. */
export function warn(message: string): void {
  if (!quiet) process.emitWarning(message, "LevinWarning");
}

/** A warning that is given once per process. */
export function warnOnce(message: string): void {
  if (shown.has(message)) return;
  shown.add(message);
  warn(message);
}

/** A note on what the trainer does. It goes to standard error, to leave the output to the program. */
export function note(message: string): void {
  if (!quiet && process.stderr.isTTY) process.stderr.write(`${message}\n`);
}

/** What the user has asked to be told, such as a profiler's report. It goes to standard error, to a terminal or not. */
export function report(message: string): void {
  if (!quiet) process.stderr.write(`${message}\n`);
}
