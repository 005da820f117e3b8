import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { double } from "./data-fixtures/datasets.js";

let folder: string;
let server: Server;
let address: string;
/** What the server has, and what it was asked for. */
const served = new Map<string, Buffer>();
let asked: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "levin-data-"));
  server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const content = served.get(path);
    if (content === undefined) response.writeHead(404).end();
    else if (path === "/cut") response.write(content, () => response.destroy());
    else response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
});

const md5 = (content: Buffer) => createHash("md5").update(content).digest("hex");

function write(path: string, content: string | Buffer): string {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

describe("downloadFile", () => {
  const content = Buffer.from("the right content");

  it("takes the first address that has the right file, and fetches nothing that is there", async () => {
    served.set("/wrong", Buffer.from("something else"));
    served.set("/right", content);
    const path = join(folder, "fetched", "file");
    const addresses = [`${address}/absent`, `${address}/wrong`, `${address}/right`];
    await data.downloadFile(addresses, path, { md5: md5(content) });
    expect(readFileSync(path)).toEqual(content);
    expect(asked).toEqual(["/absent", "/wrong", "/right"]);
    await data.downloadFile(addresses, path, { md5: md5(content) });
    expect(asked).toHaveLength(3);
    expect(readdirSync(join(folder, "fetched"))).toEqual(["file"]);
  });

  it("fetches a file again that is not the right one", async () => {
    served.set("/right", content);
    const path = write("damaged", "half of");
    const sha256 = createHash("sha256").update(content).digest("hex");
    await data.downloadFile(`${address}/right`, path, { sha256 });
    expect(readFileSync(path)).toEqual(content);
  });

  it("leaves nothing behind where it fails, and says why for each address", async () => {
    served.set("/wrong", Buffer.from("something else"));
    served.set("/cut", content);
    const path = join(folder, "failed", "file");
    const addresses = [
      `${address}/absent`,
      `${address}/wrong`,
      `${address}/cut`,
      "http://127.0.0.1:9/closed",
    ];
    await expect(data.downloadFile(addresses, path, { md5: md5(content) })).rejects.toThrow(
      /absent: .*404.*\n.*wrong: the content has the md5 .*\n.*cut: .*\n.*closed: /,
    );
    expect(readdirSync(join(folder, "failed"))).toEqual([]);
  });
});

describe("CIFAR10", () => {
  /** An archive with images of one colour each, three in each file. */
  const record = (label: number) => Buffer.concat([Buffer.of(label), Buffer.alloc(3072, label * 10)]);
  const names = [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), "test_batch.bin"];
  const tar = Buffer.concat([
    ...["README", ...names].map((name, i) => {
      const content =
        name === "README" ? Buffer.from("read me") : Buffer.concat([record(i), record(9), record(0)]);
      const header = Buffer.alloc(512);
      header.write(`cifar-10-batches-bin/${name}`);
      header.write(content.length.toString(8).padStart(11, "0"), 124);
      return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
    }),
    Buffer.alloc(1024),
  ]);

  it("is downloaded, verified, unpacked and read", async () => {
    const archive = gzipSync(tar);
    served.set("/cifar-10-binary.tar.gz", archive);
    const root = join(folder, "cifar");
    await expect(data.CIFAR10.download(root, { mirrors: [address] })).rejects.toThrow(
      /not c32a1d4ab5d03f1284b67883e8d87530/,
    );
    await data.CIFAR10.download(root, { mirrors: [address], md5: md5(archive) });
    expect(readdirSync(root)).toEqual(["cifar-10-batches-bin"]);

    const train = new data.CIFAR10(root);
    expect([train.length, train.labels.toArray()]).toEqual([
      15,
      [1, 9, 0, 2, 9, 0, 3, 9, 0, 4, 9, 0, 5, 9, 0],
    ]);
    const [image, label] = train.getItem(1);
    expect([image.shape, image.dtype, label, data.CIFAR10.classes[label]]).toEqual([
      [3, 32, 32],
      "float32",
      9,
      "truck",
    ]);
    expect(image.mean().item()).toBeCloseTo(90 / 255);
    const test = new data.CIFAR10(root, { train: false, transform: double });
    const [images, labels] = test.getItems([0, 2]);
    expect([images.shape, images.max().item(), labels.toArray()]).toEqual([
      [2, 3, 32, 32],
      expect.closeTo(120 / 255),
      [6, 0],
    ]);

    asked = [];
    await data.CIFAR10.download(root, { mirrors: [address] });
    expect(asked).toEqual([]);
    const [[batch]] = [...new data.DataLoader(test, { batchSize: 3, numWorkers: 1 })] as unknown as [
      [Tensor],
    ];
    expect(batch.shape).toEqual([3, 3, 32, 32]);
  });

  it("says what is missing or damaged", () => {
    expect(() => new data.CIFAR10(join(folder, "nowhere"))).toThrow(
      /no file .*data_batch_1\.bin.*CIFAR10\.download/,
    );
    write("broken/cifar-10-batches-bin/test_batch.bin", Buffer.alloc(100));
    expect(() => new data.CIFAR10(join(folder, "broken"), { train: false })).toThrow(
      /100 bytes.*multiple of 3073/,
    );
  });
});

describe("FashionMNIST", () => {
  it("is not downloaded where it is, and says what is wrong with its files", async () => {
    const idx = (sizes: number[]) =>
      gzipSync(
        Buffer.concat([
          Buffer.from([0, 0, 8, sizes.length, ...sizes.flatMap((n) => [0, 0, 0, n])]),
          Buffer.alloc(sizes.reduce((a, b) => a * b)),
        ]),
      );
    served.set("/t10k-images-idx3-ubyte.gz", idx([2, 28, 28]));
    const root = join(folder, "fashion");
    await expect(data.FashionMNIST.download(root, { mirrors: [address] })).rejects.toThrow(
      /train-images-idx3-ubyte\.gz.*404/s,
    );
    write("fashion/t10k-images-idx3-ubyte.gz", idx([2, 28, 28]));
    write("fashion/t10k-labels-idx1-ubyte.gz", idx([3]));
    expect(() => new data.FashionMNIST(root, { train: false })).toThrow(
      /md5 .* not bef4ecab320f06d8554ea6380940ec79/,
    );
    expect(() => new data.FashionMNIST(root, { train: false, verify: false })).toThrow(
      /not images and as many labels/,
    );
    write("fashion/t10k-labels-idx1-ubyte.gz", idx([2]));
    expect(new data.FashionMNIST(root, { train: false, verify: false }).length).toBe(2);
    expect(() => new data.FashionMNIST(root)).toThrow(/FashionMNIST\.download/);
  });
});

describe("CSVDataset", () => {
  const path = () =>
    write("houses.csv", '\uFEFFrooms,price,town,note\n3,1.5,"Ghent, B",\n4,,Lille,\n5,2e3,"a ""b""",\n');

  it("makes tensors of columns of numbers and strings of others", () => {
    const table = new data.CSVDataset(path());
    expect([table.length, table.columns]).toEqual([3, ["rooms", "price", "town", "note"]]);
    expect(table.getItem(0)).toEqual({ rooms: 3, price: 1.5, town: "Ghent, B", note: "" });
    const batch = table.getItems([2, 1]) as { rooms: Tensor; price: Tensor; town: string[] };
    expect([batch.rooms.dtype, batch.rooms.toArray(), batch.town]).toEqual([
      "int64",
      [5, 4],
      ['a "b"', "Lille"],
    ]);
    expect([batch.price.dtype, batch.price.toArray()]).toEqual(["float32", [2000, Number.NaN]]);
    expect(table.tensor(["rooms", "price"]).toArray()).toEqual([
      [3, 1.5],
      [4, Number.NaN],
      [5, 2000],
    ]);
  });

  it("is read by a loader and its workers", () => {
    const table = new data.CSVDataset(path(), { columns: ["town", "rooms"] });
    for (const numWorkers of [0, 1]) {
      const [batch] = [...new data.DataLoader(table, { batchSize: 3, numWorkers })] as unknown as [
        { rooms: Tensor; town: string[] },
      ];
      expect([batch.rooms.toArray(), batch.town]).toEqual([
        [3, 4, 5],
        ["Ghent, B", "Lille", 'a "b"'],
      ]);
    }
  });

  it("takes other forms, and refuses what isn't one", () => {
    const plain = write("plain.csv", "1;x\n2;y\n");
    expect(new data.CSVDataset(plain, { header: false, delimiter: ";" }).getItem(1)).toEqual({
      "0": 2,
      "1": "y",
    });
    expect(new data.CSVDataset(plain, { header: ["n", "s"], delimiter: ";" }).columns).toEqual(["n", "s"]);
    expect(() => new data.CSVDataset(plain, { header: ["n"], delimiter: ";" })).toThrow(
      /names 1 columns.*has 2/,
    );
    expect(() => new data.CSVDataset(plain, { columns: ["z"] })).toThrow(/no column "z"/);
    expect(() => new data.CSVDataset(write("uneven.csv", "a,b\n1,2\n3\n"))).toThrow(
      /cannot be read as CSV.*line 3/s,
    );
    expect(() => new data.CSVDataset(join(folder, "absent.csv"))).toThrow(/absent\.csv cannot be read/);
    expect(() => new data.CSVDataset(path()).tensor(["town"])).toThrow(/no column of numbers "town"/);
  });
});

describe("JSONLDataset", () => {
  it("reads a line when it is asked for", async () => {
    const path = write("lines.jsonl", '{"text":"é","n":1}\n\n  \n{"text":"b","n":2}\r\n{"text":"c","n":3}');
    const lines = new data.JSONLDataset<{ text: string; n: number }>(path);
    expect([lines.length, lines.getItem(0), lines.getItem(2)]).toEqual([
      3,
      { text: "é", n: 1 },
      { text: "c", n: 3 },
    ]);
    for await (const batch of new data.DataLoader(lines, { batchSize: 3, numWorkers: 1 })) {
      expect([batch.text, batch.n.toArray()]).toEqual([
        ["é", "b", "c"],
        [1, 2, 3],
      ]);
    }
  });

  it("says which line is wrong", () => {
    const lines = new data.JSONLDataset(write("wrong.jsonl", '{"a":1}\nnot json\n'));
    expect(() => lines.getItem(1)).toThrow(/Sample 1 of .*wrong\.jsonl \(at byte 8\) is not JSON/);
    expect(() => new data.JSONLDataset(join(folder, "absent.jsonl"))).toThrow(/cannot be opened/);
  });
});

describe("TextWindowDataset", () => {
  it("gives windows and the tokens one place further, singly and in batches", () => {
    const windows = new data.TextWindowDataset(torch.arange(10), 4);
    expect(windows.length).toBe(6);
    expect(windows.getItem(5).map((x) => x.toArray())).toEqual([
      [5, 6, 7, 8],
      [6, 7, 8, 9],
    ]);
    expect(windows.getItems([0, 5])[1].toArray()).toEqual([
      [1, 2, 3, 4],
      [6, 7, 8, 9],
    ]);
    const apart = new data.TextWindowDataset(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8), 4, { stride: 4 });
    expect([apart.length, apart.getItems([1])[0].toArray(), apart.getItem(1)[1].toArray()]).toEqual([
      2,
      [[4, 5, 6, 7]],
      [5, 6, 7, 8],
    ]);
  });

  it("refuses a text that is too short", () => {
    expect(() => new data.TextWindowDataset([1, 2, 3], 3)).toThrow(/need 4 tokens, got 3/);
    expect(() => new data.TextWindowDataset(torch.zeros([2, 2]), 1)).toThrow(/one dimension/);
    expect(() => new data.TextWindowDataset([1, 2], 1, { stride: 0 })).toThrow(
      /stride must be a positive integer/,
    );
  });
});

describe("ImageFolder", () => {
  const image = (r: number, g: number, b: number, width = 4, height = 2) =>
    sharp({ create: { width, height, channels: 3, background: { r, g, b } } });

  beforeAll(async () => {
    write("photos/dog/b.png", await image(0, 255, 0).png().toBuffer());
    write("photos/dog/a/z.PNG", await image(0, 0, 255).png().toBuffer());
    write("photos/dog/a-b/y.png", await image(0, 0, 0).png().toBuffer());
    write("photos/cat/1.png", await image(255, 0, 51).ensureAlpha(0.5).png().toBuffer());
    write("photos/cat/2.png", await image(9, 9, 9).greyscale().png().toBuffer());
    write("photos/cat/notes.txt", "not an image");
  });

  it("numbers classes and lists images as torchvision does", () => {
    const photos = new data.ImageFolder(join(folder, "photos"));
    expect([photos.classes, photos.classToIdx, photos.targets]).toEqual([
      ["cat", "dog"],
      { cat: 0, dog: 1 },
      [0, 0, 1, 1, 1],
    ]);
    expect(photos.samples.map(([path]) => path.slice(folder.length + 8))).toEqual([
      "cat/1.png",
      "cat/2.png",
      "dog/b.png",
      "dog/a/z.PNG",
      "dog/a-b/y.png",
    ]);
  });

  it("decodes images to three channels of floats, in workers too", async () => {
    const photos = new data.ImageFolder(join(folder, "photos"), { transform: double });
    const [first, label] = await photos.getItem(0);
    expect([first.shape, first.dtype, label]).toEqual([[3, 2, 4], "float32", 0]);
    expect(first.select(1, 0).select(1, 0).toArray()).toEqual([2, 0, expect.closeTo(0.4)]);
    for (const numWorkers of [0, 2]) {
      const batches: unknown[] = [];
      for await (const [images, labels] of new data.DataLoader(photos, { batchSize: 3, numWorkers })) {
        batches.push([images.shape, labels.toArray()]);
      }
      expect(batches).toEqual([
        [
          [3, 3, 2, 4],
          [0, 0, 1],
        ],
        [
          [2, 3, 2, 4],
          [1, 1],
        ],
      ]);
    }
  });

  it("resizes and makes grey where told", async () => {
    const shape = async (options: data.ImageFolderOptions) => {
      const [x] = await new data.ImageFolder(join(folder, "photos"), options).getItem(0);
      return x.shape;
    };
    expect(await shape({ resize: 6 })).toEqual([3, 6, 12]);
    expect(await shape({ resize: [5, 7], mode: "grayscale" })).toEqual([1, 5, 7]);
  });

  it("says what is wrong with folders and files", async () => {
    expect(() => new data.ImageFolder(join(folder, "photos", "cat"))).toThrow(/no folders of classes/);
    expect(() => new data.ImageFolder(join(folder, "nowhere"))).toThrow(/cannot be read/);
    write("half/a/x.png", "not an image");
    mkdirSync(join(folder, "half", "b"));
    expect(() => new data.ImageFolder(join(folder, "half"))).toThrow(/no images .* for the classes b/);
    await expect(new data.ImageFolder(join(folder, "half"), { allowEmpty: true }).getItem(0)).rejects.toThrow(
      /x\.png cannot be decoded/,
    );
  });
});
