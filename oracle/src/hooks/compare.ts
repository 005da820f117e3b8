import * as torch from "@levin/torch";
import { camelCase } from "../names.js";
import { Mismatch } from "../report.js";
import { ScenarioError } from "./parts.js";
import type { LevinResult, LevinTrace } from "./run.js";
import type { Event, Result, Trace } from "./scenario.js";

const TOLERANCE = 2e-6;

/** Whether a value agrees with the recorded one; numbers within the tolerance, kinds of objects by their presence. */
function agrees(got: unknown, want: unknown): boolean {
  if (typeof want === "number" || typeof want === "boolean") {
    const isNumber = typeof got === "number" || typeof got === "boolean";
    return isNumber && Math.abs(Number(got) - Number(want)) <= TOLERANCE;
  }
  if (want === null || want === undefined) return got === null || got === undefined;
  if (typeof want === "string") return got === want || (typeof got === "number" && String(got) === want);
  if (Array.isArray(want)) {
    return Array.isArray(got) && got.length === want.length && want.every((item, i) => agrees(got[i], item));
  }
  if (typeof got !== "object" || got === null) return false;
  if ("is" in (want as object)) return "is" in got;
  const [a, b] = [got as Record<string, unknown>, want as Record<string, unknown>];
  return sameKeys(a, b) && Object.keys(b).every((key) => agrees(a[key], b[key]));
}

function sameKeys(a: object, b: object): boolean {
  return Object.keys(a).sort().join("\0") === Object.keys(b).sort().join("\0");
}

/** Arguments that the recording does not show were not passed there and are not compared. */
function sameEvent(
  [who, hook, args, state]: Event,
  [wantWho, wantHook, wantArgs, wantState]: Event,
): boolean {
  return (
    who === wantWho &&
    hook === wantHook &&
    agrees(state, wantState) &&
    Object.entries(wantArgs).every(([name, value]) => agrees(args[name], value))
  );
}

function show(event: Event | undefined): string {
  return event === undefined ? "the end" : JSON.stringify(event);
}

function compareEvents(got: Event[], want: Event[]): void {
  const length = Math.max(got.length, want.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [got[i], want[i]];
    if (a !== undefined && b !== undefined && sameEvent(a, b)) continue;
    const before = got
      .slice(Math.max(0, i - 2), i)
      .map(([who, hook]) => `${who}.${hook}`)
      .join(", ");
    const next = want
      .slice(i + 1, i + 3)
      .map(([who, hook]) => `${who}.${hook}`)
      .join(", ");
    throw new Mismatch(
      `event ${i} of ${want.length}: wanted ${show(b)}, got ${show(a)}; after ${before || "nothing"}; wanted next ${next || "the end"}`,
    );
  }
}

/** Kinds of Python errors, and whether an error of levin means the same. */
const KINDS: Record<string, (thrown: unknown) => boolean> = {
  SystemExit: (thrown) => thrown instanceof Error && /interrupt/i.test(thrown.name),
  KeyboardInterrupt: (thrown) => thrown instanceof Error && /interrupt/i.test(thrown.name),
  FileNotFoundError: (thrown) => isOurs(thrown) || (thrown as NodeJS.ErrnoException)?.code === "ENOENT",
};

/** Whether an error is one that levin throws on purpose, not a slip such as calling undefined. */
function isOurs(thrown: unknown): boolean {
  return thrown instanceof torch.LevinError;
}

/** The names in a Python message before any hint, also as levin writes them: a message with the same meaning mentions one. */
function namesIn(message: string): string[] {
  const sentence = message.split(/HINT|\. /)[0] as string;
  const quoted = [...sentence.matchAll(/[`'"]([^`'"]+)[`'"]/g)].map((match) => match[1] as string);
  return quoted
    .flatMap((text) => text.match(/[A-Za-z_]\w*/g) ?? [])
    .filter((word) => word !== "self")
    .flatMap((word) => [word, camelCase(word)]);
}

function compareErrors(where: string, got: LevinResult, want: Result): void {
  const shown = `${want.error}: ${want.message}`;
  if (want.error === undefined) {
    if (got.error === undefined) return;
    const stack =
      got.thrown instanceof Error ? (got.thrown.stack ?? "").split("\n").slice(1, 3).join(" ").trim() : "";
    throw new Mismatch(`${where}: wanted no error, got ${got.error}: ${got.message} ${stack}`);
  }
  if (got.error === undefined) {
    // An interrupted run of levin may return instead of throwing; its state says what happened.
    if (want.error === "SystemExit") return;
    throw new Mismatch(`${where}: wanted ${shown}, got no error`);
  }
  const message = String(got.message);
  const told = `${where}: wanted ${shown}, got ${got.error}: ${message}`;
  if (want.message === "raised by the scenario") {
    if (!(got.thrown instanceof ScenarioError)) throw new Mismatch(told);
    return;
  }
  const kind = KINDS[want.error as string] ?? isOurs;
  if (!kind(got.thrown)) throw new Mismatch(told);
  const names = want.error === "SystemExit" ? [] : namesIn(String(want.message));
  const said = message.toLowerCase();
  if (names.length > 0 && !names.some((name) => said.includes(name.toLowerCase()))) throw new Mismatch(told);
}

const NOT_VALUES = new Set(["error", "message", "thrown"]);

function compareResults(got: LevinResult[], want: Result[]): void {
  for (const [i, wanted] of want.entries()) {
    const given = got[i];
    if (given === undefined) throw new Mismatch(`wanted ${want.length} results, got ${got.length}`);
    const where = `result of call ${i} (${wanted.call})`;
    compareErrors(where, given, wanted);
    for (const [key, value] of Object.entries(wanted)) {
      if (NOT_VALUES.has(key) || agrees(given[key], value)) continue;
      throw new Mismatch(
        `${where}: ${key}: wanted ${JSON.stringify(value)}, got ${JSON.stringify(given[key])}`,
      );
    }
  }
}

/** An error that only one side had explains a difference in events better than the events themselves do. */
function firstUnexpectedError(got: LevinResult[], want: Result[]): void {
  for (const [i, given] of got.entries()) {
    const wanted = want[i];
    if (wanted !== undefined && (given.error === undefined) !== (wanted.error === undefined)) {
      compareErrors(`call ${i} (${wanted.call})`, given, wanted);
    }
  }
}

/** Fails at the first thing in which levin's trace differs from Lightning's. */
export function compareTraces(got: LevinTrace, want: Trace): void {
  firstUnexpectedError(got.results, want.results);
  compareEvents(got.events, want.events);
  compareResults(got.results, want.results);
}
