import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { ArgumentError, LevinError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { forWorkers } from "../workers/portable.js";
import { ByteImages, type ImageTransform } from "./byte-images.js";
import { downloadFile, type MirrorOptions, onMirrors } from "./download.js";

/** What {@link CIFAR10} may be told. */
export interface CIFAR10Options {
  /** The 50,000 images for training, or the 10,000 for testing. Default: true. */
  train?: boolean;
  /** Changes each image. Default: none. */
  transform?: ImageTransform;
}

const archive = "cifar-10-binary.tar.gz";
const md5 = "c32a1d4ab5d03f1284b67883e8d87530";
const subfolder = "cifar-10-batches-bin";
const trainFiles = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
const testFiles = ["test_batch.bin"];
const pixels = 3 * 32 * 32;
/** A label and the pixels of an image. */
const record = 1 + pixels;

/**
 * Photographs of ten kinds of things: images of 3 x 32 x 32 as float32 from 0 to 1, labels from 0 to 9.
 *
 * The images stay bytes in memory (154 MB) and become floats a batch at a time.
 *
 * ```ts
 * await data.CIFAR10.download("data/cifar10");
 * const photographs = new data.CIFAR10("data/cifar10");
 * ```
 *
 * @see https://pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR10.html
 */
export class CIFAR10 extends ByteImages {
  /** The names of the labels. */
  static readonly classes: readonly string[] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
  ];

  /**
   * @param folder where `cifar-10-batches-bin` is, the content of CIFAR-10's binary version
   * @throws LevinError where a file is absent or damaged
   */
  constructor(folder: string, options: CIFAR10Options = {}) {
    super(...read(folder, options.train ?? true), options.transform);
  }

  /**
   * Fetches the archive (162 MB) where the files are not there yet, verifies and unpacks it.
   *
   * @param options `md5`: of an archive other than the original one
   * @throws LevinError where no mirror gives the right file
   */
  static async download(folder: string, options: MirrorOptions & { md5?: string } = {}): Promise<void> {
    const { mirrors = ["https://www.cs.toronto.edu/~kriz"] } = options;
    const target = join(folder, subfolder);
    if ([...trainFiles, ...testFiles].every((name) => existsSync(join(target, name)))) return;
    const path = join(folder, archive);
    await downloadFile(onMirrors(mirrors, archive), path, { md5: options.md5 ?? md5 });
    unpack(path, target);
    rmSync(path);
  }
}

/** The images and the labels of a part. */
function read(folder: string, train: boolean): [images: Tensor, labels: Tensor] {
  if (typeof folder !== "string")
    throw new ArgumentError(`CIFAR10: folder must be a path, got ${String(folder)}.`);
  const parts = (train ? trainFiles : testFiles).map((name) => {
    const path = join(folder, subfolder, name);
    if (!existsSync(path)) {
      throw new LevinError(
        `There is no file ${path}. \`await data.CIFAR10.download(folder)\` fetches CIFAR-10's binary version, or unpack ${archive} there.`,
      );
    }
    const bytes = readFileSync(path);
    if (bytes.length === 0 || bytes.length % record !== 0) {
      throw new LevinError(
        `${path} is damaged: it has ${bytes.length} bytes, which is not a multiple of ${record}.`,
      );
    }
    return ops.fromTypedArray(bytes, [bytes.length / record, record]);
  });
  const records = ops.cat(parts);
  const labels = records.select(1, 0).to("int64");
  const most = labels.max().item();
  if (most > 9)
    throw new LevinError(
      `CIFAR10: the files in ${folder} are damaged: there is a label ${most}, they go to 9.`,
    );
  return [records.narrow(1, 1, pixels).reshape([-1, 3, 32, 32]), labels];
}

/** Unpacks the data files of the archive. The folder appears when it is complete. */
function unpack(path: string, target: string): void {
  const part = mkdtempSync(`${target}.`);
  for (const [name, bytes] of tarFiles(gunzipSync(readFileSync(path)))) {
    const known = [...trainFiles, ...testFiles].find((file) => name.endsWith(`/${file}`));
    if (known) writeFileSync(join(part, known), bytes);
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(part, target);
}

/** The names and contents of the files in a tar archive. */
function* tarFiles(archive: Buffer): Iterable<[name: string, content: Buffer]> {
  const block = 512;
  for (let at = 0; at + block <= archive.length; ) {
    const header = archive.subarray(at, at + block);
    const name = header.toString("latin1", 0, 100).replace(/\0.*$/s, "");
    if (name === "") return;
    const size = Number.parseInt(header.toString("latin1", 124, 136), 8);
    if (!(size <= archive.length - at - block)) throw new LevinError("CIFAR10: the archive is damaged.");
    yield [name, archive.subarray(at + block, at + block + size)];
    at += block + Math.ceil(size / block) * block;
  }
}

forWorkers(import.meta.url, { CIFAR10 });
