// The thread of an Outbox: does the jobs that it is posted, one after the other, and tells how each ended.
import { createReadStream, createWriteStream, fstatSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { type MessagePort, workerData } from "node:worker_threads";
import {
  type Answer,
  DONE,
  type Failure,
  HURRY,
  type Job,
  type RequestJob,
  type UploadJob,
} from "./outbox.js";

const { port, numbers } = workerData as { port: MessagePort; numbers: Int32Array };

/** How often a server that fails is asked again, and how long it may take, in milliseconds. */
const patient = { retries: 5, timeout: 120_000 };
/** The same when somebody waits for the end, and when the server has failed then. */
const hurried = { retries: 2, timeout: 10_000 };
const hopeless = { retries: 0, timeout: 1000 };
/** How long the first pause is before it is asked again; each is twice as long as the one before. */
const FIRST_PAUSE = 250;
/** The states by which a server says that it may work another time. */
const passingStates = [408, 429, 500, 502, 503, 504];

const isHurried = () => Atomics.load(numbers, HURRY) === 1;
/** Whether the last job was given up. */
let hasFailed = false;

function patience() {
  if (!isHurried()) return patient;
  return hasFailed ? hopeless : hurried;
}

let queue = Promise.resolve();
port.on("message", (job: Job) => {
  queue = queue.then(async () => {
    port.postMessage(await answer(job));
    Atomics.add(numbers, DONE, 1);
    Atomics.notify(numbers, DONE);
  });
});

async function answer(job: Job): Promise<Answer> {
  for (let attempt = 0; ; attempt++) {
    const given = await attemptTo(job);
    hasFailed &&= "failure" in given && given.failure.passing;
    if (!("failure" in given) || !given.failure.passing) return given;
    if (attempt >= patience().retries) {
      hasFailed = true;
      return given;
    }
    await pause(FIRST_PAUSE * 2 ** attempt);
  }
}

async function attemptTo(job: Job): Promise<Answer> {
  try {
    if (job.kind === "copy") {
      mkdirSync(dirname(job.path), { recursive: true });
      await pipeline(contentOf(job.file), createWriteStream(job.path));
      return { value: null };
    }
    return await request(job);
  } catch (error) {
    return { failure: describe(error, job) };
  }
}

async function request(job: RequestJob | UploadJob): Promise<Answer> {
  const aborter = new AbortController();
  const began = Date.now();
  // the time it has may become less while it is under way; an upload takes what it takes
  const watch = setInterval(() => {
    if (job.kind === "upload" && !isHurried()) return;
    if (Date.now() - began > patience().timeout) aborter.abort();
  }, 100);
  try {
    const response = await fetch(job.url, {
      ...(job.kind === "upload" ? uploaded(job) : { method: job.method, body: job.body }),
      headers: job.headers,
      signal: aborter.signal,
    } as RequestInit);
    const text = await response.text();
    if (response.ok) return { value: text === "" ? null : JSON.parse(text) };
    return { failure: refusal(response, text, job.url) };
  } finally {
    clearInterval(watch);
  }
}

function uploaded({ file }: UploadJob) {
  return { method: "PUT", body: Readable.toWeb(contentOf(file)), duplex: "half" };
}

/** A file from its beginning; it stays open. */
function contentOf(file: number): Readable {
  const { size } = fstatSync(file);
  return size === 0
    ? Readable.from([])
    : createReadStream("", { fd: file, start: 0, end: size - 1, autoClose: false });
}

/** What the server says where it doesn't do what it was asked for. */
function refusal(response: Response, text: string, url: string): Failure {
  let message = text.slice(0, 500);
  let code: string | undefined;
  try {
    const body = JSON.parse(text) as { message?: string; error_code?: string };
    message = body.message ?? message;
    code = body.error_code;
  } catch {
    // no JSON: the text is what it says
  }
  return {
    message: `${url} answered ${response.status} ${response.statusText}: ${message}`,
    passing: passingStates.includes(response.status),
    code,
  };
}

function describe(error: unknown, job: Job): Failure {
  const { message, cause } = error as Error;
  const reason =
    (cause as Error | undefined)?.message || (cause as { code?: string } | undefined)?.code || message;
  if (job.kind === "copy") return { message: `${job.path} cannot be written: ${reason}`, passing: false };
  return { message: `${job.url} does not answer: ${reason}`, passing: true };
}

/** Waits, but not long where somebody waits for the end. */
async function pause(milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds;
  while (Date.now() < (isHurried() ? Math.min(end, Date.now() + FIRST_PAUSE) : end)) {
    await wait(Math.min(FIRST_PAUSE, end - Date.now()));
    if (isHurried()) return;
  }
}
