import gifenc from "gifenc";
import type { Pixels } from "./png.js";

const COLOURS = 256;

/** Encodes frames of RGB pixels and of one size as an animated GIF that repeats; each frame has 256 colours of its own. */
export function encodeGif(frames: readonly Pixels[], fps: number): Uint8Array {
  const gif = gifenc.GIFEncoder();
  for (const { width, height, data } of frames) {
    const rgba = new Uint8Array(width * height * 4).fill(255);
    for (let i = 0; i < width * height; i++) rgba.set(data.subarray(i * 3, i * 3 + 3), i * 4);
    const palette = gifenc.quantize(rgba, COLOURS);
    gif.writeFrame(gifenc.applyPalette(rgba, palette), width, height, { palette, delay: 1000 / fps });
  }
  gif.finish();
  return gif.bytes();
}
