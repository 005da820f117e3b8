import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { ArgumentError, type Tensor } from "@levin/torch";
import { warn } from "../../messages.js";
import { formatFloat } from "../../python-format.js";
import type { BackgroundFiles } from "../background-files.js";
import { gridOf, toPixels } from "../media/image.js";
import { encodePng } from "../media/png.js";

/** What {@link SummaryWriter.addEmbedding} may be told. */
export interface AddEmbeddingOptions {
  /** A label for each row, or where there is a `metadataHeader` one for each of its columns. Default: none. */
  metadata?: readonly unknown[] | null;
  /** An image for each row: `(N, C, H, W)`. Default: none. */
  labelImg?: Tensor | null;
  /** Default: 0. */
  globalStep?: number;
  /** The embedding's name. Default: `"default"`. */
  tag?: string;
  /** The names of the columns of `metadata`. Default: none. */
  metadataHeader?: readonly string[] | null;
}

/** Writes what TensorBoard's projector reads of an embedding; gives its entry in the projector's configuration. */
export function writeEmbedding(
  files: BackgroundFiles,
  folder: string,
  mat: Tensor,
  options: AddEmbeddingOptions,
): string {
  const { metadata, labelImg, globalStep = 0, tag = "default", metadataHeader } = options;
  if (mat.shape.length !== 2)
    throw new ArgumentError(`addEmbedding: mat must have the shape (N, D), not [${mat.shape.join(", ")}].`);
  for (const [name, length] of [
    ["metadata", metadata?.length],
    ["labelImg", labelImg?.size(0)],
  ] as const) {
    if (length !== undefined && length !== mat.size(0)) {
      throw new ArgumentError(
        `addEmbedding: ${name} must have an entry for each of the ${mat.size(0)} rows of mat, not ${length}.`,
      );
    }
  }

  const step = String(globalStep).padStart(5, "0");
  const part = `${step}/${encodeTag(tag)}`;
  const path = join(folder, part);
  if (existsSync(path)) {
    if (!statSync(path).isDirectory())
      throw new ArgumentError(`addEmbedding: ${path} is a file; the embedding needs a folder there.`);
    warn(`addEmbedding: ${path} exists, and is written again. Did you set globalStep?`);
  }
  const entry = [`tensor_name: ${quote(`${tag}:${step}`)}`, `tensor_path: ${quote(`${part}/tensors.tsv`)}`];
  files.write(join(path, "tensors.tsv"), tensorLines(mat));
  if (metadata) {
    files.write(join(path, "metadata.tsv"), metadataLines(metadata, metadataHeader ?? null));
    entry.push(`metadata_path: ${quote(`${part}/metadata.tsv`)}`);
  }
  if (labelImg) {
    files.write(join(path, "sprite.png"), sprite(labelImg));
    entry.push(
      "sprite {",
      `  image_path: ${quote(`${part}/sprite.png`)}`,
      `  single_image_dim: ${labelImg.size(3)}`,
      `  single_image_dim: ${labelImg.size(2)}`,
      "}",
    );
  }
  return `embeddings {\n${entry.map((line) => `  ${line}\n`).join("")}}\n`;
}

/** A tag as the name of a folder. */
function encodeTag(tag: string): string {
  return tag.replaceAll("%", "%25").replaceAll("/", "%2f").replaceAll("\\", "%5c");
}

function tensorLines(mat: Tensor): string {
  const format = torch.isFloatingPoint(mat) ? formatFloat : String;
  const rows = mat.detach().to("cpu").toArray() as number[][];
  return rows.map((row) => `${row.map(format).join("\t")}\n`).join("");
}

function metadataLines(metadata: readonly unknown[], header: readonly string[] | null): string {
  if (!header) return metadata.map((label) => `${label}\n`).join("");
  const rows = [header, ...metadata].map((row) => {
    if (!Array.isArray(row) || row.length !== header.length) {
      throw new ArgumentError(
        `addEmbedding: each entry of metadata must be an array with a value for each of the ${header.length} columns.`,
      );
    }
    return `${row.join("\t")}\n`;
  });
  return rows.join("");
}

/** The images in as many rows as columns. */
function sprite(images: Tensor): Uint8Array {
  const columns = Math.ceil(Math.sqrt(images.size(0)));
  return torch.noGrad(() => {
    const grid = gridOf(images.detach(), columns).permute([1, 2, 0]);
    const [height, width] = grid.shape as [number, number];
    const square = torch.zeros([Math.max(height, width), width, 3], {
      dtype: grid.dtype,
      device: grid.device,
    });
    square.narrow(0, 0, height).copy_(grid);
    return encodePng(toPixels(square));
  });
}

/** A string as protobuf's text form has it. */
function quote(text: string): string {
  const escaped = Array.from(Buffer.from(text), (byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
  });
  return `"${escaped.join("")}"`;
}
