import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError, LevinError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import type { Dataset } from "../dataset.js";
import { forWorkers } from "../workers/portable.js";

/** What {@link ImageFolder} may be told. */
export interface ImageFolderOptions {
  /** Changes an image: gets (C, H, W) as float32 from 0 to 1. */
  transform?: (image: Tensor) => Tensor;
  /** Changes a class. */
  targetTransform?: (label: number) => number;
  /** The size that images get when they are decoded: of the shorter side, or height and width. Default: their own. */
  resize?: number | readonly [height: number, width: number];
  /** What the channels are. Default: "rgb". */
  mode?: "rgb" | "grayscale";
  /** The endings of the files that are images. Default: those of JPEG, PNG, WebP, GIF, AVIF, TIFF and SVG. */
  extensions?: readonly string[];
  /** Takes a class without images for an empty one and not for an error. Default: false. */
  allowEmpty?: boolean;
}

const defaultExtensions = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".svg"];

/**
 * Images in folders, one for each class: `root/cat/1.jpg`, `root/dog/a/2.png`. Classes are numbered in the order of their names.
 *
 * The npm package `sharp`, which is to be installed beside this one, decodes the images, in threads of its own; samples are promises, so the
 * loader is read with `for await` or has workers.
 *
 * @see https://pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html
 */
export class ImageFolder implements Dataset<[image: Tensor, label: number]> {
  readonly root: string;
  readonly classes: readonly string[];
  /** The numbers of the classes by their names. */
  readonly classToIdx: Readonly<Record<string, number>>;
  /** The path and class of each image. */
  readonly samples: readonly (readonly [path: string, label: number])[];
  readonly options: ImageFolderOptions;

  /** @throws LevinError where there are no classes, or no images of one */
  constructor(root: string, options: ImageFolderOptions = {}) {
    if (typeof root !== "string")
      throw new ArgumentError(`ImageFolder: root must be a path, got ${String(root)}.`);
    const { extensions = defaultExtensions, allowEmpty = false } = options;
    this.root = root;
    this.options = options;
    this.classes = findClasses(root);
    this.classToIdx = Object.fromEntries(this.classes.map((name, i) => [name, i]));
    const found = this.classes.map((name) => findImages(join(root, name), extensions));
    const empty = this.classes.filter((_, i) => found[i]?.length === 0);
    if (empty.length > 0 && !allowEmpty) {
      throw new LevinError(
        `ImageFolder: there are no images (${extensions.join(", ")}) in ${root} for the classes ${empty.join(", ")}.`,
      );
    }
    this.samples = found.flatMap((paths, label) => paths.map((path) => [path, label] as const));
  }

  get length(): number {
    return this.samples.length;
  }

  /** The class of each image. */
  get targets(): number[] {
    return this.samples.map(([, label]) => label);
  }

  /** @throws LevinError where the image cannot be decoded, or sharp is not installed */
  async getItem(index: number): Promise<[image: Tensor, label: number]> {
    const sample = this.samples[index];
    if (sample === undefined)
      throw new ArgumentError(`ImageFolder: index ${index} is out of range for ${this.length} images.`);
    const [path, label] = sample;
    const { transform, targetTransform } = this.options;
    const image = await decode(path, this.options);
    return [transform ? transform(image) : image, targetTransform ? targetTransform(label) : label];
  }
}

function findClasses(root: string): string[] {
  let names: string[];
  try {
    names = readdirSync(root).filter((name) => statSync(join(root, name)).isDirectory());
  } catch (error) {
    throw new LevinError(`ImageFolder: ${root} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (names.length === 0) throw new LevinError(`ImageFolder: there are no folders of classes in ${root}.`);
  return names.sort(byCodePoints);
}

/** The images in a folder and in those inside it, folder by folder in the order of their paths, as torchvision lists them. */
function findImages(folder: string, extensions: readonly string[]): string[] {
  const isImage = (name: string) => extensions.some((extension) => name.toLowerCase().endsWith(extension));
  return findFolders(folder)
    .sort(byCodePoints)
    .flatMap((path) =>
      filesIn(path)
        .filter(isImage)
        .sort(byCodePoints)
        .map((name) => join(path, name)),
    );
}

function findFolders(folder: string): string[] {
  const inner = readdirSync(folder).map((name) => join(folder, name));
  return [folder, ...inner.filter((path) => statSync(path).isDirectory()).flatMap(findFolders)];
}

function filesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => !statSync(join(folder, name)).isDirectory());
}

const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** What is used of sharp. */
interface Sharp {
  resize(width: number | null, height: number | null, options: { fit: "fill" | "outside" }): Sharp;
  removeAlpha(): Sharp;
  toColourspace(space: "srgb" | "b-w"): Sharp;
  raw(): Sharp;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    data: Buffer;
    info: { width: number; height: number; channels: number };
  }>;
}

let sharp: ((path: string) => Sharp) | null = null;

async function loadSharp(): Promise<(path: string) => Sharp> {
  try {
    const name = "sharp"; // not a literal, since its types are only there where it is installed
    sharp = ((await import(name)) as { default: (path: string) => Sharp }).default;
    return sharp;
  } catch (error) {
    throw new LevinError(
      "ImageFolder needs the npm package sharp to decode images: install it with `npm install sharp`. " +
        `(${(error as Error).message})`,
      { cause: error },
    );
  }
}

/** An image as float32 from 0 to 1: (C, H, W). */
async function decode(path: string, { resize, mode = "rgb" }: ImageFolderOptions): Promise<Tensor> {
  let image = (sharp ?? (await loadSharp()))(path).removeAlpha();
  if (typeof resize === "number") image = image.resize(resize, resize, { fit: "outside" });
  else if (resize) image = image.resize(resize[1], resize[0], { fit: "fill" });
  image = image.toColourspace(mode === "rgb" ? "srgb" : "b-w");
  try {
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    const pixels = ops.fromTypedArray(data, [info.height, info.width, info.channels]);
    return pixels.permute([2, 0, 1]).to("float32").div_(255);
  } catch (error) {
    throw new LevinError(`${path} cannot be decoded: ${(error as Error).message}`, { cause: error });
  }
}

forWorkers(import.meta.url, { ImageFolder });
