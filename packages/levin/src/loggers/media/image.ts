import * as torch from "@levin/torch";
import { ArgumentError, type Tensor } from "@levin/torch";
import type { Pixels } from "./png.js";

/** How many images of a batch lie beside each other. */
const COLUMNS = 8;

/**
 * The pixels of an image, or of the images of a batch side by side. Floats are taken from 0 to 1, bytes from 0 to 255; grey
 * becomes RGB.
 *
 * @param formats a letter for each dimension: `CHW`, `HWC`, `HW`, `NCHW`, `NHWC`
 */
export function pixelsOf(image: Tensor, formats: string): Pixels {
  const letters = formats.toUpperCase();
  const dimensions = { 2: "HW", 3: "HWC", 4: "NCHW" }[letters.length];
  if (!dimensions || [...dimensions].some((letter) => !letters.includes(letter))) {
    throw new ArgumentError(
      `dataformats must be an order of the letters HW, CHW or NCHW, got ${JSON.stringify(formats)}.`,
    );
  }
  if (image.shape.length !== letters.length) {
    throw new ArgumentError(
      `The image has the shape [${image.shape.join(", ")}], but dataformats ${JSON.stringify(formats)} names ${letters.length} dimensions. ` +
        "Give the option `dataformats` a letter for each dimension.",
    );
  }
  return torch.noGrad(() => {
    const ordered = image.detach().permute([...dimensions].map((letter) => letters.indexOf(letter)));
    if (dimensions === "NCHW") return toPixels(gridOf(ordered, COLUMNS).permute([1, 2, 0]));
    const hwc = dimensions === "HW" ? ordered.unsqueeze(2) : ordered;
    return toPixels(hwc.size(2) === 1 ? hwc.expand([-1, -1, 3]) : hwc);
  });
}

/** Puts images `(N, C, H, W)` beside and below each other: `(3, H, W)`. What is left of the last row is black. */
export function gridOf(images: Tensor, most: number): Tensor {
  const [count, channels, height, width] = images.shape as [number, number, number, number];
  if (channels !== 1 && channels !== 3)
    throw new ArgumentError(`The images of a batch have 1 or 3 channels (grey, RGB), not ${channels}.`);
  if (count === 0) throw new ArgumentError("The batch of images is empty.");
  const columns = Math.min(count, most);
  const rows = Math.ceil(count / columns);
  const rgb = images.expand([-1, 3, -1, -1]);
  const missing = torch.zeros([rows * columns - count, 3, height, width], {
    dtype: rgb.dtype,
    device: rgb.device,
  });
  return torch
    .cat([rgb, missing])
    .reshape([rows, columns, 3, height, width])
    .permute([2, 0, 3, 1, 4])
    .reshape([3, rows * height, columns * width]);
}

/** The pixels of `(H, W, C)`. */
export function toPixels(image: Tensor): Pixels {
  const [height, width, channels] = image.shape as [number, number, number];
  return { height, width, channels, data: toBytes(image) };
}

/** The values of a tensor as bytes: those of other types than uint8 are taken from 0 to 1. */
function toBytes(image: Tensor): Uint8Array {
  if (image.dtype === "uint8") return image.to("cpu").contiguous().toTypedArray() as Uint8Array;
  const scaled = image.to({ device: "cpu", dtype: "float32" }).mul(255).clamp(0, 255);
  return scaled.to("uint8").toTypedArray() as Uint8Array;
}

/**
 * The frames of videos `(N, T, C, H, W)`: those of a batch lie in a grid, whose rows and columns are powers of two.
 */
export function framesOf(videos: Tensor): Pixels[] {
  if (videos.shape.length !== 5 || (videos.size(2) !== 1 && videos.size(2) !== 3)) {
    throw new ArgumentError(
      `A video has the shape (N, T, C, H, W) with 1 or 3 channels, not [${videos.shape.join(", ")}].`,
    );
  }
  const [count, length] = videos.shape as [number, number];
  if (count === 0 || length === 0) throw new ArgumentError("The video is empty.");
  const places = 2 ** Math.ceil(Math.log2(count));
  const columns = places / 2 ** Math.floor(Math.floor(Math.log2(count)) / 2);
  return torch.noGrad(() => {
    const [, , , height, width] = videos.shape as [number, number, number, number, number];
    const shape = [places - count, length, 3, height, width];
    const missing = torch.zeros(shape, { dtype: videos.dtype, device: videos.device });
    const all = torch.cat([videos.detach().expand([-1, -1, 3, -1, -1]), missing]);
    return Array.from({ length }, (_, t) => toPixels(gridOf(all.select(1, t), columns).permute([1, 2, 0])));
  });
}
