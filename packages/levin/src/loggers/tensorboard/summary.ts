import { ArgumentError, Tensor } from "@levin/torch";
import { samplesOf } from "../media/audio.js";
import { encodeGif } from "../media/gif.js";
import { encodePng, type Pixels } from "../media/png.js";
import { encodeWav } from "../media/wav.js";
import { encode, type Fields } from "../protobuf.js";
import type { SummaryValue } from "./event-file.js";
import type { Histogram } from "./histogram.js";

// Values of a summary, by the numbers of their fields in TensorBoard's summary.proto and tensor.proto.

/** The numbers of the types of a TensorProto. */
const tensorTypes: Readonly<Record<string, number>> = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  int16: 5,
  int8: 6,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  complex128: 18,
  float16: 19,
};

/** A single number. */
export function scalarSummary(tag: string, value: number): SummaryValue {
  return (message) => message.string(1, tag).float(2, value);
}

/** A single number as a tensor: in double precision, if wanted. */
export function tensorScalarSummary(tag: string, value: number, doublePrecision: boolean): SummaryValue {
  return (message) => {
    message.string(1, tag).message(9, pluginData("scalars"));
    message.message(8, (tensor) =>
      doublePrecision
        ? tensor.int(1, tensorTypes.float64!).packed(6, "double", [value])
        : tensor.int(1, tensorTypes.float32!).packed(5, "float", [value]),
    );
  };
}

export function histogramSummary(tag: string, histogram: Histogram): SummaryValue {
  const { min, max, num, sum, sumSquares, bucketLimits, bucketCounts } = histogram;
  return (message) =>
    message.string(1, tag).message(5, (proto) => {
      for (const [i, value] of [min, max, num, sum, sumSquares].entries()) proto.double(i + 1, value);
      proto.packed(6, "double", bucketLimits).packed(7, "double", bucketCounts);
    });
}

/** Data for one of TensorBoard's plugins. */
export function pluginSummary(tag: string, plugin: string, content: Uint8Array): SummaryValue {
  return (message) => message.string(1, tag).message(9, pluginData(plugin, content));
}

/** A text, for the plugin that shows it: a tensor with one string. */
export function textSummary(tag: string, text: string): SummaryValue {
  return (message) => {
    pluginSummary(`${tag}/text_summary`, "text", new Uint8Array())(message);
    message.message(8, (tensor) =>
      tensor
        .int(1, tensorTypes.string!)
        .message(2, shapeOf([1]))
        .string(8, text),
    );
  };
}

/** An image as PNG. */
export function imageSummary(tag: string, pixels: Pixels): SummaryValue {
  return encodedImage(tag, pixels, encodePng(pixels));
}

/** Frames as an animated GIF. */
export function videoSummary(tag: string, frames: readonly Pixels[], fps: number): SummaryValue {
  return encodedImage(tag, frames[0]!, encodeGif(frames, fps));
}

function encodedImage(tag: string, { height, width, channels }: Pixels, encoded: Uint8Array): SummaryValue {
  return (message) =>
    message
      .string(1, tag)
      .message(4, (image) => image.int(1, height).int(2, width).int(3, channels).bytes(4, encoded));
}

/** A sound as WAV. */
export function audioSummary(tag: string, sound: Tensor, sampleRate: number): SummaryValue {
  const samples = samplesOf(sound);
  return (message) =>
    message
      .string(1, tag)
      .message(6, (audio) =>
        audio
          .float(1, sampleRate)
          .int(2, 1)
          .int(3, samples.length)
          .bytes(4, encodeWav(samples, sampleRate))
          .string(5, "audio/wav"),
      );
}

/** A whole tensor. */
export function tensorSummary(tag: string, tensor: Tensor): SummaryValue {
  const type = tensorTypes[tensor.dtype];
  if (type === undefined)
    throw new ArgumentError(
      `addTensor: TensorBoard has no type for ${tensor.dtype}; convert the tensor first.`,
    );
  const values = tensor.detach().to("cpu").contiguous().toTypedArray();
  const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return (message) =>
    message
      .string(1, tag)
      .message(9, pluginData("tensor"))
      .message(8, (proto) => proto.int(1, type).message(2, shapeOf(tensor.shape)).bytes(4, content));
}

/** What {@link SummaryWriter.addCustomScalars} lays out: charts by category and title. */
export type CustomScalarsLayout = Record<string, Record<string, CustomScalarsChart>>;
/** A chart: several scalars in one, or one with a margin between a lower and an upper one. */
export type CustomScalarsChart =
  | readonly ["Multiline", tags: readonly string[]]
  | readonly ["Margin", tags: readonly [value: string, lower: string, upper: string]];

export function customScalarsSummary(layout: CustomScalarsLayout): SummaryValue {
  const chartFields =
    (title: string, [kind, tags]: CustomScalarsChart): Fields =>
    (chart) => {
      chart.string(1, title);
      if (kind === "Margin") {
        if (tags.length !== 3) {
          throw new ArgumentError(
            `addCustomScalars: the chart "${title}" has ${tags.length} tags; a "Margin" takes 3: value, lower, upper.`,
          );
        }
        chart.message(3, (content) =>
          content.message(1, (series) => {
            for (const [i, tag] of tags.entries()) series.string(i + 1, tag);
          }),
        );
      } else {
        chart.message(2, (content) => {
          for (const tag of tags) content.string(1, tag);
        });
      }
    };
  const encoded = encode((message) => {
    for (const [title, charts] of Object.entries(layout)) {
      message.message(2, (category) => {
        category.string(1, title);
        for (const [name, chart] of Object.entries(charts)) category.message(2, chartFields(name, chart));
      });
    }
  });
  return (message) =>
    message
      .string(1, "custom_scalars__config__")
      .message(9, pluginData("custom_scalars"))
      .message(8, (tensor) => tensor.int(1, tensorTypes.string!).message(2, shapeOf([])).bytes(8, encoded));
}

/** Rows of a precision-recall curve: true and false positives, true and false negatives, precision, recall. */
export function prCurveSummary(
  tag: string,
  rows: readonly ArrayLike<number>[],
  numThresholds: number,
): SummaryValue {
  const content = encode((message) => message.int(2, numThresholds));
  return (message) =>
    message
      .string(1, tag)
      .message(9, pluginData("pr_curves", content))
      .message(
        8,
        floatTensor(
          [rows.length, rows[0]!.length],
          rows.flatMap((row) => Array.from(row)),
        ),
      );
}

/** The numbers of what a mesh consists of, and the ends of their tags. */
const meshParts = [
  { name: "vertices", number: 1, suffix: "VERTEX" },
  { name: "faces", number: 2, suffix: "FACE" },
  { name: "colors", number: 3, suffix: "COLOR" },
] as const;

/** The tensors of a mesh, each `(B, N, 3)`. */
export interface Mesh {
  vertices: Tensor;
  colors?: Tensor | null;
  faces?: Tensor | null;
}

export function meshSummaries(tag: string, mesh: Mesh, config: object | null): SummaryValue[] {
  const parts = meshParts.filter(({ name }) => mesh[name]);
  const components = parts.reduce((mask, { number }) => mask | (1 << number), 0);
  return parts.map(({ name, number, suffix }) => {
    const tensor = mesh[name];
    if (!(tensor instanceof Tensor) || tensor.shape.length !== 3)
      throw new ArgumentError(`addMesh: ${name} must be a tensor of the shape (B, N, 3).`);
    const content = encode((message) =>
      message
        .string(2, tag)
        .int(3, number)
        .string(5, config ? JSON.stringify(config) : "{}")
        .packed(6, "int64", tensor.shape)
        .int(7, components),
    );
    const values = tensor.detach().to({ device: "cpu", dtype: "float32" }).contiguous().toTypedArray();
    return (message) =>
      message
        .string(1, `${tag}_${suffix}`)
        .message(9, pluginData("mesh", content))
        .message(8, floatTensor(tensor.shape, values as Float32Array));
  });
}

function pluginData(name: string, content?: Uint8Array): Fields {
  return (metadata) =>
    metadata.message(1, (data) => {
      data.string(1, name);
      if (content) data.bytes(2, content);
    });
}

function floatTensor(shape: readonly number[], values: Iterable<number>): Fields {
  return (tensor) =>
    tensor.int(1, tensorTypes.float32!).message(2, shapeOf(shape)).packed(5, "float", values);
}

/** A TensorShapeProto. */
export function shapeOf(shape: readonly number[]): Fields {
  return (message) => {
    for (const size of shape) message.message(2, (dimension) => dimension.int(1, size));
  };
}
