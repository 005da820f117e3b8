import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { ArgumentError, Tensor } from "@levin/torch";
import type { BackgroundFiles } from "../background-files.js";
import { samplesOf } from "../media/audio.js";
import { encodeGif } from "../media/gif.js";
import { framesOf, pixelsOf } from "../media/image.js";
import { encodePng } from "../media/png.js";
import { encodeWav } from "../media/wav.js";
import { toJson } from "./json.js";

/** Keeps the files of media among those of a run. */
export interface MediaStore {
  /** The folder of the run's files. */
  folder: string;
  files: BackgroundFiles;
  /** The number of the row that comes next. */
  step: number;
  /** Tells that a file is there, by its path in the folder. */
  added(path: string): void;
}

/** An image, sound or video: its values, or the path of a file. */
export type Medium = Tensor | string;

interface StoredFile {
  path: string;
  sha256: string;
  size: number;
}

/** Images with floats from 0 to 1 or bytes from 0 to 255: `(C, H, W)` or `(H, W)`. */
export function storeImages(
  store: MediaStore,
  key: string,
  images: readonly Medium[],
  captions?: readonly string[],
): object {
  const pixels = images.map((image) =>
    image instanceof Tensor ? pixelsOf(image, image.shape.length === 2 ? "HW" : "CHW") : null,
  );
  const stored = images.map((image, i) => {
    const own = pixels[i];
    return own
      ? keep(store, "images", key, encodePng(own), ".png")
      : keepFile(store, "images", key, image as string);
  });
  const { width, height } = pixels[0] ?? {};
  return {
    _type: "images/separated",
    width,
    height,
    format: extname(stored[0]?.path ?? ".png").slice(1),
    count: images.length,
    filenames: stored.map(({ path }) => path),
    captions,
  };
}

/** Sounds of one channel with values from -1 to 1. */
export function storeAudios(
  store: MediaStore,
  key: string,
  audios: readonly Medium[],
  captions?: readonly string[],
  sampleRates?: readonly number[],
): object {
  const durations: (number | null)[] = [];
  const stored = audios.map((audio, i) => {
    if (!(audio instanceof Tensor)) {
      durations.push(null);
      return keepFile(store, "audio", key, audio);
    }
    const rate = sampleRates?.[i];
    if (!rate)
      throw new ArgumentError(
        "logAudio: sampleRate must have the sample rate of each sound that is a tensor.",
      );
    const samples = samplesOf(audio);
    durations.push(samples.length / rate);
    return keep(store, "audio", key, encodeWav(samples, rate), ".wav");
  });
  return {
    _type: "audio",
    count: audios.length,
    audio: stored.map((file, i) => ({ _type: "audio-file", caption: captions?.[i], ...file })),
    sampleRates,
    durations,
    captions,
  };
}

/** Videos with floats from 0 to 1 or bytes from 0 to 255: `(T, C, H, W)`, or `(N, T, C, H, W)` for some in a grid. */
export function storeVideos(
  store: MediaStore,
  key: string,
  videos: readonly Medium[],
  captions?: readonly string[],
  fps?: readonly number[],
): object {
  const stored = videos.map((video, i) => {
    if (!(video instanceof Tensor)) return { ...keepFile(store, "videos", key, video), width: undefined };
    const frames = framesOf(video.shape.length === 4 ? video.unsqueeze(0) : video);
    const { width, height } = frames[0]!;
    return { ...keep(store, "videos", key, encodeGif(frames, fps?.[i] ?? 4), ".gif"), width, height };
  });
  return {
    _type: "videos",
    count: videos.length,
    videos: stored.map((file, i) => ({ _type: "video-file", caption: captions?.[i], ...file })),
    captions,
  };
}

/** A table whose cells are what JSON has. */
export function storeTable(
  store: MediaStore,
  key: string,
  columns: readonly string[],
  data: readonly (readonly unknown[])[],
): object {
  for (const row of data) {
    if (row.length !== columns.length) {
      throw new ArgumentError(
        `logTable: each row of data must have a value for each of the ${columns.length} columns, got ${row.length}.`,
      );
    }
  }
  const file = keep(store, "table", key, Buffer.from(toJson({ columns, data })), ".table.json");
  return { _type: "table-file", ncols: columns.length, nrows: data.length, log_mode: "IMMUTABLE", ...file };
}

function keepFile(store: MediaStore, kind: string, key: string, path: string): StoredFile {
  return keep(store, kind, key, readFileSync(path), extname(path));
}

function keep(
  store: MediaStore,
  kind: string,
  key: string,
  content: Uint8Array,
  extension: string,
): StoredFile {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const path = `media/${kind}/${key.split("/").map(fileName).join("/")}_${store.step}_${sha256.slice(0, 20)}${extension}`;
  store.files.write(join(store.folder, path), content);
  store.added(path);
  return { path, sha256, size: content.length };
}

/** A part of a key as a file's name. */
function fileName(part: string): string {
  return part.replace(/[^\w. -]/g, "_").replace(/^\.+$/, "_");
}
