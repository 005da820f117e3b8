// Arguments that run code of their own while they are read.
import { MessageChannel } from "node:worker_threads";
import * as torch from "@levin/torch";
import { ArgumentError, DisposedError } from "@levin/torch";
import { describe, expect, it } from "vitest";

/** A list whose first element is computed when it is read. */
function listReading(read: () => number, length = 1): number[] {
  const list = Array<number>(length).fill(4);
  Object.defineProperty(list, 0, { get: read });
  return list;
}

const trap = new Proxy(
  {},
  {
    get() {
      throw new RangeError("trap");
    },
    ownKeys() {
      throw new RangeError("trap");
    },
    getPrototypeOf() {
      return Object.prototype;
    },
  },
);

describe("an argument that runs code while it is read", () => {
  it("may dispose of the tensor that is being used", () => {
    const x = torch.ones([4]);
    const disposing = (tensor: torch.Tensor) =>
      listReading(() => {
        tensor.dispose();
        return 4;
      });
    expect(() => x.view(disposing(x))).toThrow(DisposedError);
    const y = torch.ones([4]);
    expect(() => torch.viewStorage(y, "float32", disposing(y), [1])).not.toThrow();
    const z = torch.ones([4]);
    const options = {
      get dim() {
        z.dispose();
        return 0;
      },
    };
    expect(() => z.sum(options)).toThrow(DisposedError);
  });

  it("may take away the memory that is to be copied", () => {
    const values = new Float32Array(4);
    const shape = listReading(() => {
      structuredClone(values.buffer, { transfer: [values.buffer] });
      return 4;
    });
    expect(() => torch.fromTypedArray(values, shape)).toThrow(ArgumentError);
  });

  it("may throw, and may call operators itself", () => {
    const failing = listReading(() => {
      throw new RangeError("mine");
    });
    expect(() => torch.zeros(failing)).toThrow(new RangeError("mine"));
    expect(() => torch.zeros([1], trap as never)).toThrow("trap");
    expect(() => torch.tensor([1], trap as never)).toThrow("trap");
    expect(torch.zeros(listReading(() => torch.ones([3]).sum().item())).shape).toEqual([3]);
    expect(() => torch.ones([1]).add(trap as never)).toThrow();
    expect(() =>
      torch.full([1], new Proxy({ re: 1, im: 1 }, { get: (_, key) => (key === "im" ? trap : 1) }) as never),
    ).toThrow();
  });

  it("may shrink the list it is in", () => {
    const list: number[] = [1, 2, 3];
    Object.defineProperty(list, 0, {
      get() {
        list.length = 1;
        return 1;
      },
    });
    expect(torch.zeros(list).ndim).toBeLessThanOrEqual(3);
  });
});

describe("objects that are not what they seem", () => {
  it("are taken for what they hold", () => {
    expect(
      torch
        .ones([2])
        .add(new Proxy(torch.ones([2]), {}))
        .toArray(),
    ).toEqual([2, 2]);
    const subclass = new (class extends torch.Tensor {})(torch.ones([1]).handle);
    expect(subclass.add(1).item()).toBe(2);
  });

  it("are refused where they hold nothing", () => {
    const { add } = torch.Tensor.prototype as { add: (...args: unknown[]) => unknown };
    for (const receiver of [
      {},
      { handle: {} },
      { handle: torch.defaultGenerator.handle },
      Object.create(torch.Tensor.prototype),
    ]) {
      expect(() => add.call(receiver, 1)).toThrow(ArgumentError);
    }
    expect(() => new torch.Tensor(undefined as never).shape).toThrow(/must be a Tensor, got undefined/);
    expect(() => torch.cat([torch.ones([1]), { handle: {} } as never])).toThrow(ArgumentError);
  });
});

describe("memory looked at from both sides", () => {
  it("cannot be transferred away from under the tensor", () => {
    const x = torch.ones([1000]);
    const view = x.asTypedArray();
    const { port1 } = new MessageChannel();
    try {
      port1.postMessage(view, [view.buffer as ArrayBuffer]);
    } catch {
      // some versions of Node refuse, others send a copy
    } finally {
      port1.close();
    }
    torch.memory.collect();
    expect(x.sum().item()).toBe(1000);
  });

  it("is freed once neither side holds it", async () => {
    for (let i = 0; i < 50; i++) torch.ones([100_000]).asTypedArray();
    torch.memory.collect();
    await new Promise((resolve) => setImmediate(resolve));
    expect(torch.ones([1]).item()).toBe(1);
  });
});
