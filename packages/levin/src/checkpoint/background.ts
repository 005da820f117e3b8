import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as torch from "@levin/torch";
import { Tensor } from "@levin/torch";
import { LightningError } from "../errors.js";
import { isPlainObject } from "../tree.js";

/** A checkpoint as it is posted to the thread that writes it. */
export interface PostedCheckpoint {
  path: string;
  content: unknown;
  tensors: torch.SharedTensor[];
}

/** What the writing thread answers: nothing, or what went wrong. */
export type WriterAnswer = { message: string } | null;

/** A checkpoint to be posted, with copies of its tensors; null where it holds what cannot be posted. */
export function toPosted(checkpoint: object, path: string): PostedCheckpoint | null {
  const tensors: torch.SharedTensor[] = [];
  // tensors that are the same memory stay so
  const places = new Map<string, number>();
  let canBePosted = true;
  const visit = (value: unknown): unknown => {
    if (value instanceof Tensor) {
      const key = [
        torch.serialization.getStorage(value).id,
        value.storageOffset(),
        value.shape,
        value.stride(),
      ].join();
      let place = places.get(key);
      if (place === undefined) {
        place = tensors.push(torch.share(value.detach().clone())) - 1;
        places.set(key, place);
      }
      return { tensorPlace: place };
    }
    if (Array.isArray(value)) return value.map(visit);
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [visit(key), visit(item)]));
    if (isPlainObject(value))
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item)]));
    if ((typeof value === "object" && value !== null) || typeof value === "function") canBePosted = false;
    return value;
  };
  const content = visit(checkpoint);
  if (canBePosted) return { path, content, tensors };
  for (const shared of tensors) torch.receive(shared); // lets go of them
  return null;
}

/** The checkpoint that was posted. */
export function fromPosted({ content, tensors }: PostedCheckpoint): unknown {
  const received = tensors.map((shared) => torch.receive(shared));
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [visit(key), visit(item)]));
    if (!isPlainObject(value)) return value;
    if (typeof value.tensorPlace === "number") return received[value.tensorPlace];
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item)]));
  };
  return visit(content);
}

/** A thread that writes checkpoints to the local file system. */
export class WriterThread {
  #worker: Worker | null = null;

  async write(posted: PostedCheckpoint): Promise<void> {
    this.#worker ??= new Worker(new URL("./writer.js", import.meta.url), {
      name: "levin checkpoints",
      // a program that was given by -e is of a kind that files cannot be
      execArgv: process.execArgv.filter((flag) => !flag.startsWith("--input-type")),
    });
    const worker = this.#worker;
    worker.ref();
    worker.postMessage(posted);
    const settled = new AbortController();
    const { signal } = settled;
    const answered = once(worker, "message", { signal }).then(([message]) => message as WriterAnswer);
    const ended = once(worker, "exit", { signal }).then(() => ({
      message: "The thread that writes checkpoints has ended.",
    }));
    const answer = await Promise.race([answered, ended]).finally(() => {
      for (const waiting of [answered, ended]) waiting.catch(() => {}); // of the other one nothing is wanted any more
      settled.abort();
      worker.unref();
    });
    if (answer) throw new LightningError(answer.message);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}
