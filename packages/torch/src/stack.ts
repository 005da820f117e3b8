import { sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Deep enough for the place in a user's program under the layers of several modules. */
const frameLimit = 32;

const here = fileURLToPath(new URL(".", import.meta.url));
/** Where a call is on its way to the addon, which says nothing about the program. */
const internal = ["stack.js", "operator.js", "native.js", "grad-mode.js", `profiler${sep}`].map(
  (path) => here + path,
);

/** The JavaScript stack at this moment, as V8 writes it. */
export function captureStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = frameLimit;
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, captureStack);
  Error.stackTraceLimit = stackTraceLimit;
  return holder.stack ?? "";
}

/** The frames of a stack, innermost first, as `file(line): function`; without those of Node and on the way to the addon. */
export function framesOf(stack: string): string[] {
  const frames: string[] = [];
  for (const line of stack.split("\n")) {
    const match = /^\s+at (?:(.*) \()?(.*?):(\d+):\d+\)?$/.exec(line);
    if (!match) continue;
    const [, name = "<anonymous>", place = "", row] = match;
    if (place.startsWith("node:")) continue;
    const file = place.startsWith("file:") ? fileURLToPath(place) : place.replaceAll("/", sep);
    if (!internal.some((path) => file.startsWith(path))) frames.push(`${file}(${row}): ${name}`);
  }
  return frames;
}
