import { once } from "node:events";
import * as torch from "@levin/torch";
import { ArgumentError, type SharedTensor } from "@levin/torch";
import { describe, expect, it } from "vitest";
import { entry, inProcess, inWorker, startWorker } from "./elsewhere.js";

describe("a worker thread", () => {
  it("computes, differentiates and throws as the main thread does", async () => {
    const answer = await inWorker(`
      const x = torch.tensor([1, 2], { requiresGrad: true });
      x.registerHook((g) => g.mul(2));
      x.mul(x).sum().backward();
      let caught;
      try { x.add("1"); } catch (error) { caught = error instanceof torch.ArgumentError; }
      parentPort.postMessage([x.grad.toArray(), caught, torch.isGradEnabled()]);`);
    expect(answer).toEqual([[4, 8], true, true]);
  });

  it("has modes of its own", async () => {
    torch.setGradEnabled(false);
    try {
      expect(await inWorker("parentPort.postMessage(torch.isGradEnabled());")).toBe(true);
    } finally {
      torch.setGradEnabled(true);
    }
    expect(
      await inWorker("torch.setGradEnabled(false); parentPort.postMessage(torch.isGradEnabled());"),
    ).toBe(false);
    expect(torch.isGradEnabled()).toBe(true);
  });

  it("has a sequence of random numbers of its own, the same under the same seed", async () => {
    const draws = `[
      torch.rand([2]), torch.randn([3]), torch.randint(0, 9, [3]), torch.randperm(5),
      torch.zeros([3]).bernoulli_(0.5), torch.multinomial(torch.ones([5]), 2), torch.normal(0, 1, [2]),
      torch.nn.functional.dropout(torch.ones([4]), { p: 0.5 }),
    ].map((x) => x.toArray())`;
    const before = torch.getRngState();
    const answer = await inWorker(`torch.manualSeed(3); parentPort.postMessage(${draws});`);
    expect(torch.getRngState().equal(before)).toBe(true);
    torch.manualSeed(3);
    expect(answer).toEqual(new Function("torch", `return ${draws}`)(torch));
  });
});

describe("a shared tensor", () => {
  it("is the same memory on both threads", async () => {
    const x = torch.zeros([3]);
    const back = (await inWorker(
      "const x = torch.receive(workerData); x.add_(5); parentPort.postMessage(torch.share(x.mul(2)));",
      torch.share(x),
    )) as SharedTensor;
    expect([x.toArray(), torch.receive(back).toArray()]).toEqual([
      [5, 5, 5],
      [10, 10, 10],
    ]);
  });

  it("outlives the tensor and the thread it came from", async () => {
    const shared = (await inWorker(
      "parentPort.postMessage(torch.share(torch.full([1000], 7)));",
    )) as SharedTensor;
    torch.memory.collect();
    expect(torch.receive(shared).sum().item()).toBe(7000);
  });

  it("is a leaf of its own with the same need of gradients", () => {
    const x = torch.ones([2], { requiresGrad: true });
    const y = torch.receive(torch.share(x));
    y.mul(2).sum().backward();
    expect([y.isLeaf, y.grad?.toArray(), x.grad, y.storageId === x.storageId]).toEqual([
      true,
      [2, 2],
      null,
      true,
    ]);
    expect(() => x.data.resize_([1000])).toThrow(/not resizable/);
  });

  it("cannot be part of a graph, nor be received twice", () => {
    const x = torch.ones([1], { requiresGrad: true });
    expect(() => torch.share(x.mul(2))).toThrow(/part of a graph.*share tensor.detach\(\)/);
    const shared = torch.share(x);
    torch.receive(shared);
    expect(() => torch.receive(shared)).toThrow(/can be received once/);
    for (const wrong of [undefined, null, 5, {}, { levinTensor: "1" }, { levinTensor: 0.5 }]) {
      expect(() => torch.receive(wrong as never)).toThrow(ArgumentError);
    }
    expect(() => torch.share(5 as never)).toThrow(/must be a Tensor, got 5/);
  });
});

describe("an end in the middle of work", () => {
  const busy: [string, string][] = [
    ["an operator", "for (;;) torch.randn([300, 300]).matmul(torch.randn([300, 300]));"],
    [
      "a backward pass",
      "const x = torch.randn([300, 300], { requiresGrad: true }); for (;;) x.matmul(x).sum().backward();",
    ],
    [
      "a hook",
      "const x = torch.ones([1], { requiresGrad: true }); x.registerHook(() => { for (;;); }); x.sum().backward();",
    ],
    [
      "a hook served from a helper thread",
      `const { native } = await import(${JSON.stringify(entry.replace("index.js", "native.js"))});
       native.serveHooksFromHelperThread(true);
       const x = torch.ones([1], { requiresGrad: true }); x.registerHook(() => { for (;;); }); x.sum().backward();`,
    ],
    ["a collection", "for (;;) { torch.ones([1_000_000]); torch.memory.collect(); }"],
  ];

  it.each(busy)("of a worker in %s ends the worker and nothing else", async (_what, code) => {
    const worker = startWorker(`parentPort.postMessage("started"); ${code}`);
    await once(worker, "message");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await worker.terminate()).toBe(1);
    expect(torch.ones([2]).sum().item()).toBe(2);
  });

  it("of the process, while a worker works, is clean", async () => {
    const { code, signal, stderr } = await inProcess(`
      import { Worker } from "node:worker_threads";
      const worker = new Worker(
        \`const { parentPort } = await import("node:worker_threads");
        const torch = await import(${JSON.stringify(entry)});
        parentPort.postMessage("started");
        for (;;) torch.randn([300, 300]).matmul(torch.randn([300, 300]));\`,
        { eval: true },
      );
      worker.once("message", () => process.exit(3));`);
    expect([code, signal, stderr]).toEqual([3, null, ""]);
  });

  it("of the process in a hook is clean", async () => {
    const { code, signal } = await inProcess(`
      const x = torch.ones([1], { requiresGrad: true });
      x.registerHook(() => process.exit(4));
      x.sum().backward();`);
    expect([code, signal]).toEqual([4, null]);
  });
});

describe("a stack that is almost full", () => {
  const code = `
    const x = torch.ones([50, 50]);
    let calls = 0;
    const fall = () => {
      try {
        fall();
      } catch (error) {
        if (calls++ < 30) try { torch.linalg.svd(x.matmul(x)); } catch {}
        throw error;
      }
    };
    let name;
    try { fall(); } catch (error) { name = error.name; }`;

  it("is enough for operators, on the main thread and in a worker", async () => {
    expect(await inWorker(`${code} parentPort.postMessage(name);`)).toBe("RangeError");
    expect((await inProcess(`${code} console.log(name);`)).stdout).toBe("RangeError\n");
  });
});
