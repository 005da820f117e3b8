import * as torch from "@levin/torch";
import { accelerator, OperatorError } from "@levin/torch";
import { describe, expect, it } from "vitest";

describe.skipIf(accelerator.isAvailable())("without an accelerator", () => {
  it("says that there is none", () => {
    expect(accelerator.deviceCount()).toBe(0);
    expect(accelerator.currentAccelerator({ checkAvailable: true })).toBeNull();
  });

  it("has no memory in use, as PyTorch says it", () => {
    expect(accelerator.memoryStats()).toEqual({});
    for (const read of [
      "memoryAllocated",
      "maxMemoryAllocated",
      "memoryReserved",
      "maxMemoryReserved",
    ] as const) {
      expect(accelerator[read]()).toBe(0);
    }
  });

  it("has nothing to wait for, to free or to reset", () => {
    accelerator.synchronize();
    accelerator.emptyCache();
    accelerator.resetPeakMemoryStats();
    accelerator.resetAccumulatedMemoryStats();
  });

  it.each([
    ["the current device", () => accelerator.currentDeviceIndex()],
    ["another device", () => accelerator.setDeviceIndex(0)],
    ["the memory of a device", () => accelerator.getMemoryInfo()],
    ["the name of a device", () => torch.cuda.getDeviceName()],
    ["pinned memory", () => torch.ones([2]).pinMemory()],
    ["a new tensor in pinned memory", () => torch.ones([2], { pinMemory: true })],
  ])("gives an error for %s", (_, call) => {
    expect(call).toThrow(OperatorError);
    expect(call).toThrow(/accelerator/);
  });

  it("has no pinned tensors, and copies without waiting as with it", () => {
    const x = torch.ones([2]);
    expect(x.isPinned()).toBe(false);
    expect(x.to("float64", { nonBlocking: true }).toArray()).toEqual([1, 1]);
  });

  it("refuses devices that are none of it", () => {
    expect(() => accelerator.memoryStats(-1)).toThrow(/the device was given -1/);
    expect(() => accelerator.synchronize("meta" as "cuda")).not.toThrow();
  });
});

describe.skipIf(!accelerator.isAvailable())("with an accelerator", () => {
  it("counts the memory of tensors", () => {
    const type = accelerator.currentAccelerator() as "cuda";
    const before = accelerator.memoryAllocated();
    const tensor = torch.zeros([1 << 20], { device: type });
    expect(accelerator.memoryAllocated() - before).toBe(4 << 20);
    expect(accelerator.maxMemoryAllocated()).toBeGreaterThanOrEqual(before + (4 << 20));
    tensor.dispose();
    accelerator.synchronize();
    expect(accelerator.memoryAllocated()).toBe(before);
    accelerator.resetPeakMemoryStats();
    expect(accelerator.maxMemoryAllocated()).toBe(before);
    accelerator.emptyCache();
    expect(accelerator.memoryReserved()).toBeLessThanOrEqual(accelerator.maxMemoryReserved());
  });

  it("pins memory, from which it copies without waiting", () => {
    const pinned = torch.ones([4]).pinMemory();
    expect(pinned.isPinned()).toBe(true);
    const copy = pinned.to(accelerator.currentAccelerator() as "cuda", { nonBlocking: true });
    accelerator.synchronize();
    expect(copy.cpu().toArray()).toEqual([1, 1, 1, 1]);
  });

  it("tells what its devices are", () => {
    const { free, total } = accelerator.getMemoryInfo();
    expect(free).toBeLessThanOrEqual(total);
    if (torch.cuda.isAvailable()) expect(torch.cuda.getDeviceProperties(0).totalMemory).toBeGreaterThan(0);
  });
});
