import type { Tensor } from "@levin/torch";
import sharp from "sharp";

/** Writes images (rows, columns, 1, height, width) with values from 0 to 1 as a grid into a PNG file. */
export async function savePicture(images: Tensor, path: string): Promise<void> {
  const [rows, columns, , height, width] = images.shape as [number, number, number, number, number];
  const pixels = images
    .permute([0, 3, 1, 4, 2])
    .reshape([rows * height, columns * width])
    .mul(255)
    .round()
    .to("uint8")
    .toTypedArray() as Uint8Array;
  const raw = { width: columns * width, height: rows * height, channels: 1 as const };
  await sharp(pixels, { raw }).png().toFile(path);
}
