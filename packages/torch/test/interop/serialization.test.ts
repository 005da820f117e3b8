import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomObject } from "../serialization-fixtures/random-object.js";
import { runMutations } from "../serialization-fixtures/run-mutations.js";

const { Complex, load, save, serialization, tensor } = torch;
const { encode, loadNpy, loadNpz, loadSafetensors, saveNpy, saveNpz, saveSafetensors } = serialization;

const python = process.env.LEVIN_PYTHON ?? "python3";
const script = fileURLToPath(new URL("random_objects.py", import.meta.url));
const count = 200;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-interop-"));
  for (const name of ["python", "levin", "mapped", "own", "again", "protocols", "resaved", "unchanged"])
    mkdirSync(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a program of Python prints. */
const run = (...args: string[]) =>
  execFileSync(python, ["-W", "ignore", ...args], { cwd: folder, encoding: "utf8" });
const file = (...names: string[]) => join(folder, ...names);

describe("files of torch.save", () => {
  it(`PyTorch -> levin -> PyTorch is the identity for ${count} random nested objects`, () => {
    run(script, "write", file("python"), String(count));
    for (const name of readdirSync(file("python"))) {
      save(load(file("python", name)), file("levin", name));
      save(load(file("python", name), { mmap: true }), file("mapped", name));
    }
    expect(run(script, "compare", file("python"), file("levin"))).toBe("compared\n");
    expect(run(script, "compare", file("python"), file("mapped"))).toBe("compared\n");
  });

  it(`levin -> PyTorch -> levin is the identity for ${count} random nested objects`, () => {
    for (let seed = 0; seed < count; seed++) save(randomObject(seed), file("own", `${seed}.pt`));
    run(script, "again", file("own"), file("again"));
    for (let seed = 0; seed < count; seed++) {
      const again = encode(load(file("again", `${seed}.pt`)));
      expect(Buffer.compare(again, encode(randomObject(seed))), `seed ${seed}`).toBe(0);
    }
  });

  it("of levin are good zip files, whose offsets PyTorch can compute", () => {
    const checks = `
import glob, os, zipfile
os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"
import torch
from torch.utils.serialization import config
for name in glob.glob("levin/*.pt"):
    assert zipfile.ZipFile(name).testzip() is None, name
    for calculate in (False, True):
        config.load.calculate_storage_offsets = calculate
        for mmap in (False, True):
            torch.load(name, mmap=mmap)
print("good")`;
    expect(run("-c", checks)).toBe("good\n");
  });

  it("of every protocol and of the format before the zip files are read", () => {
    const write = `
import sys, torch
sys.path.insert(0, ${JSON.stringify(join(script, ".."))})
from random_objects import Generator
number = 0
for seed in range(20):
    for protocol in (2, 3, 4, 5):
        for new in (True, False):
            root = Generator(seed).root()
            torch.save(root, f"protocols/{number}.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=new)
            torch.save(root, f"unchanged/{number}.pt")
            number += 1
print(number)`;
    const number = Number(run("-c", write));
    expect(number).toBe(160);
    for (let i = 0; i < number; i++) save(load(file("protocols", `${i}.pt`)), file("resaved", `${i}.pt`));
    expect(run(script, "compare", file("unchanged"), file("resaved"))).toBe("compared\n");
  });

  it("with what PyTorch's safe loader does not read: NumPy, named tuples, classes", () => {
    const write = `
import argparse, collections, numpy, torch
torch.save({"array": numpy.arange(6.0).reshape(2, 3), "columns": numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
            "numbers": [numpy.float64(1.5), numpy.int64(2), numpy.bool_(True), numpy.complex64(1 + 2j), numpy.float32(3)],
            "big": numpy.arange(3, dtype=">f4")}, "numpy.pt")
torch.save({"array": numpy.arange(6.0).reshape(2, 3)}, "numpy5.pt", pickle_protocol=5)
torch.save({"space": argparse.Namespace(lr=0.1), "default": collections.defaultdict(list, {"a": [1]}), "frozen": frozenset([1])}, "classes.pt")`;
    run("-c", write);
    const { array, columns, numbers, big } = load(file("numpy.pt")) as Record<string, torch.Tensor>;
    expect(array?.toArray()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect([columns?.toArray(), columns?.stride()]).toEqual([
      [
        [0, 1, 2],
        [3, 4, 5],
      ],
      [1, 2],
    ]);
    expect(numbers).toEqual([1.5, 2, true, new Complex(1, 2), 3]);
    expect(big?.toArray()).toEqual([0, 1, 2]);
    expect((load(file("numpy5.pt")) as { array: torch.Tensor }).array.toArray()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(() => load(file("classes.pt"))).toThrow(/argparse\.Namespace/);
    const classes = load(file("classes.pt"), { safeGlobals: ["argparse.Namespace"] });
    expect(classes).toMatchObject({
      space: { name: "Namespace", state: { lr: 0.1 } },
      default: { a: [1] },
      frozen: new Set([1]),
    });
  });
});

describe("safetensors", () => {
  it("travel both ways, byte by byte as the format's own library writes them", () => {
    const write = `
import torch
from safetensors.torch import save_file
tensors = {str(t)[6:]: torch.arange(6).reshape(2, 3).to(t) for t in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.uint16, torch.uint32, torch.uint64, torch.complex64,
    torch.float8_e4m3fn, torch.float8_e5m2)}
tensors["empty"] = torch.zeros(0, 2)
tensors["scalar"] = torch.tensor(1.5)
save_file(tensors, "python.safetensors", metadata={"format": "pt"})`;
    run("-c", write);
    const tensors = loadSafetensors(file("python.safetensors"));
    expect(tensors.int64?.toArray()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(tensors.float8_e5m2?.float().toArray()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    saveSafetensors(tensors, file("levin.safetensors"), { metadata: { format: "pt" } });
    const read = `
import torch
from safetensors.torch import load_file
a, b = load_file("python.safetensors"), load_file("levin.safetensors")
assert sorted(a) == sorted(b)
for name in a:
    assert a[name].dtype == b[name].dtype and a[name].shape == b[name].shape, name
    assert a[name].view(torch.uint8).equal(b[name].view(torch.uint8)) if a[name].dim() else a[name] == b[name], name
print("equal")`;
    expect(run("-c", read)).toBe("equal\n");
    expect(readFileSync(file("levin.safetensors"))).toEqual(readFileSync(file("python.safetensors")));
  });
});

describe("files of NumPy", () => {
  it("travel both ways", () => {
    const write = `
import numpy
arrays = {t: numpy.arange(6).reshape(2, 3).astype(t) for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8", ">c8")}
arrays["columns"] = numpy.asfortranarray(arrays["i4"])
arrays["scalar"] = numpy.float64(1.5)
numpy.savez("stored.npz", **arrays)
numpy.savez_compressed("compressed.npz", **arrays)
numpy.save("array.npy", arrays["f4"])`;
    run("-c", write);
    for (const name of ["stored.npz", "compressed.npz"]) {
      const arrays = loadNpz(file(name));
      for (const type of ["i1", "u8", "f2", ">i4", ">f8", "columns"]) {
        expect(arrays[type]?.toArray(), type).toEqual([
          [0, 1, 2],
          [3, 4, 5],
        ]);
      }
      expect(arrays.scalar?.item()).toBe(1.5);
      saveNpz(arrays, file(`levin-${name}`), { compress: name === "compressed.npz" });
    }
    saveNpy(loadNpy(file("array.npy")), file("levin.npy"));
    saveNpy(tensor([1, 2]), file("vector.npy"));
    const read = `
import numpy, zipfile
for name in ("stored.npz", "compressed.npz"):
    assert zipfile.ZipFile("levin-" + name).testzip() is None
    a, b = numpy.load(name), numpy.load("levin-" + name)
    assert a.files == b.files
    for key in a.files:
        assert a[key].dtype.newbyteorder("<") == b[key].dtype and (a[key] == b[key]).all(), key
assert (numpy.load("levin.npy") == numpy.load("array.npy")).all()
assert numpy.load("vector.npy", mmap_mode="r").tolist() == [1, 2]
print("equal")`;
    expect(run("-c", read)).toBe("equal\n");
  });
});

describe("10,000 damaged files", () => {
  it("give an error or the right content, in time and in memory, and what PyTorch reads of them is the same", async () => {
    const runs = await Promise.all(
      [0, 1].map((half) => runMutations(10_000 + 5000 * half, 5000, 500_000, file(`damaged${half}`))),
    );
    expect(runs.flatMap(({ failures }) => failures)).toEqual([]);
    expect(runs.reduce((sum, { loaded, refused }) => sum + loaded + refused, 0)).toBe(10_000);
    for (const half of [0, 1])
      expect(run(script, "damaged", file(`damaged${half}`), "")).toMatch(/^compared [1-9]\d+\n$/);
  }, 600_000);
});
