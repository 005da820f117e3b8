import { hostname } from "node:os";
import { join } from "node:path";
import { ArgumentError, type nn, Tensor } from "@levin/torch";
import { BackgroundFiles } from "../background-files.js";
import { framesOf, pixelsOf } from "../media/image.js";
import { type AddEmbeddingOptions, writeEmbedding } from "./embedding.js";
import { EventFile, type EventFileOptions, type SummaryValue } from "./event-file.js";
import { recordGraph } from "./graph.js";
import { type Histogram, type HistogramBins, histogramOf } from "./histogram.js";
import { type HparamValue, hparamsSummaries } from "./hparams.js";
import { MOST_THRESHOLDS, prCurve } from "./pr-curve.js";
import {
  audioSummary,
  type CustomScalarsLayout,
  customScalarsSummary,
  histogramSummary,
  imageSummary,
  meshSummaries,
  prCurveSummary,
  scalarSummary,
  tensorScalarSummary,
  tensorSummary,
  textSummary,
  videoSummary,
} from "./summary.js";

/** What {@link SummaryWriter} may be told. */
export interface SummaryWriterOptions extends EventFileOptions {
  /** The end of the folder's name, where none is given. Default: none. */
  comment?: string;
}

/** When something was logged. */
export interface WalltimeOptions {
  /** In seconds since 1970. Default: now. */
  walltime?: number;
}

/** What {@link SummaryWriter.addScalar} may be told. */
export interface AddScalarOptions extends WalltimeOptions {
  /** Whether the number is kept as a tensor. Default: false. */
  newStyle?: boolean;
  /** Whether such a tensor has double precision. Default: false. */
  doublePrecision?: boolean;
}

/** What {@link SummaryWriter.addHistogram} may be told. */
export interface AddHistogramOptions extends WalltimeOptions {
  /** TensorFlow's buckets, a number of buckets of equal width, or their edges. Default: `"tensorflow"`. */
  bins?: HistogramBins;
  /** Neighbours are joined where there are more buckets. Default: no limit. */
  maxBins?: number | null;
}

/** What {@link SummaryWriter.addImage} may be told. */
export interface AddImageOptions extends WalltimeOptions {
  /** A letter for each dimension, such as `"CHW"`, `"HWC"`, `"HW"`, `"NCHW"`. */
  dataformats?: string;
}

/** What {@link SummaryWriter.addVideo} may be told. */
export interface AddVideoOptions extends WalltimeOptions {
  /** Frames in a second. Default: 4. */
  fps?: number;
}

/** What {@link SummaryWriter.addAudio} may be told. */
export interface AddAudioOptions extends WalltimeOptions {
  /** Samples in a second. Default: 44100. */
  sampleRate?: number;
}

/** What {@link SummaryWriter.addHparams} may be told. */
export interface AddHparamsOptions {
  /** All values that a hyperparameter can have, by name. Default: none. */
  hparamDomainDiscrete?: Record<string, readonly HparamValue[]>;
  /** The folder below the writer's. Default: the time. */
  runName?: string;
  /** The step of the metrics. */
  globalStep?: number;
}

/** What {@link SummaryWriter.addPrCurve} may be told. */
export interface AddPrCurveOptions extends WalltimeOptions {
  /** At how many thresholds, 127 at most, is counted. Default: 127. */
  numThresholds?: number;
  /** How much each label counts. Default: 1. */
  weights?: Tensor | null;
}

/** What {@link SummaryWriter.addMesh} may be told. */
export interface AddMeshOptions extends WalltimeOptions {
  /** `(B, N, 3)`, from 0 to 255. Default: none. */
  colors?: Tensor | null;
  /** The vertices of each triangle: `(B, F, 3)`. Default: none, which shows points. */
  faces?: Tensor | null;
  /** Classes of Three.js with what they are told. */
  configDict?: object | null;
  /** The step. Default: 0. */
  globalStep?: number;
}

/**
 * Writes event files for TensorBoard, without making the program wait for the disk. A tag with slashes, such as `loss/train`, groups.
 *
 * ```ts
 * const writer = new SummaryWriter("runs/first");
 * writer.addScalar("loss/train", 0.5, step);
 * writer.close();
 * ```
 *
 * @see https://pytorch.org/docs/stable/tensorboard.html
 */
export class SummaryWriter {
  readonly logDir: string;
  readonly #options: EventFileOptions;
  #events: EventFile | null = null;
  /** The files of the curves that {@link addScalars} draws into one chart, by folder. */
  readonly #curves = new Map<string, EventFile>();
  readonly #files = new BackgroundFiles();
  #projectorConfig = "";

  /** @param logDir default: `runs/`, the time, and the host's name */
  constructor(logDir?: string | null, options: SummaryWriterOptions = {}) {
    const { comment = "", ...ofFile } = options;
    this.logDir = logDir || join("runs", `${timeName(new Date())}_${hostname()}${comment}`);
    this.#options = ofFile;
    this.#events = new EventFile(this.logDir, ofFile);
  }

  getLogdir(): string {
    return this.logDir;
  }

  addScalar(
    tag: string,
    scalarValue_: number | Tensor,
    globalStep?: number,
    options: AddScalarOptions = {},
  ): void {
    const { walltime, newStyle = false, doublePrecision = false } = options;
    const value = toNumber(scalarValue_, "addScalar: the value");
    this.addSummary(
      [newStyle ? tensorScalarSummary(tag, value, doublePrecision) : scalarSummary(tag, value)],
      globalStep,
      walltime,
    );
  }

  /** Adds several numbers, which are drawn into one chart. Each has an event file in a folder of its own. */
  addScalars(
    mainTag: string,
    tagScalarDict: Record<string, number | Tensor>,
    globalStep?: number,
    options: WalltimeOptions = {},
  ): void {
    const walltime = options.walltime ?? Date.now() / 1000;
    for (const [tag, given] of Object.entries(tagScalarDict)) {
      const folder = join(this.logDir, `${mainTag.replaceAll("/", "_")}_${tag}`);
      let file = this.#curves.get(folder);
      if (!file) {
        file = new EventFile(folder, { filenameSuffix: this.#options.filenameSuffix });
        this.#curves.set(folder, file);
      }
      file.add([scalarSummary(mainTag, toNumber(given, `addScalars: ${tag}`))], globalStep, walltime);
    }
  }

  addTensor(tag: string, tensor: Tensor, globalStep?: number, options: WalltimeOptions = {}): void {
    this.addSummary([tensorSummary(tag, tensor)], globalStep, options.walltime);
  }

  /**
   * Adds how the values of a tensor are distributed.
   *
   * @throws ArgumentError where the tensor is empty
   */
  addHistogram(tag: string, values: Tensor, globalStep?: number, options: AddHistogramOptions = {}): void {
    const { walltime, bins, maxBins } = options;
    this.addSummary([histogramSummary(tag, histogramOf(values, bins, maxBins))], globalStep, walltime);
  }

  /** Adds a histogram that was counted elsewhere. */
  addHistogramRaw(
    tag: string,
    histogram: Histogram,
    globalStep?: number,
    options: WalltimeOptions = {},
  ): void {
    const { bucketLimits, bucketCounts } = histogram;
    if (bucketLimits.length !== bucketCounts.length) {
      throw new ArgumentError(
        "addHistogramRaw: bucketLimits and bucketCounts must have the same length, " +
          `got ${bucketLimits.length} and ${bucketCounts.length}.`,
      );
    }
    this.addSummary([histogramSummary(tag, histogram)], globalStep, options.walltime);
  }

  /**
   * Adds an image of 1, 3 or 4 channels, as PNG. Floats are taken from 0 to 1, bytes from 0 to 255.
   *
   * @param imgTensor `(C, H, W)`, or as `dataformats` says
   */
  addImage(tag: string, imgTensor: Tensor, globalStep?: number, options: AddImageOptions = {}): void {
    const { walltime, dataformats = "CHW" } = options;
    this.addSummary([imageSummary(tag, pixelsOf(imgTensor, dataformats))], globalStep, walltime);
  }

  /**
   * Adds the images of a batch as one, 8 beside each other.
   *
   * @param imgTensor `(N, C, H, W)`, or as `dataformats` says
   */
  addImages(tag: string, imgTensor: Tensor, globalStep?: number, options: AddImageOptions = {}): void {
    this.addImage(tag, imgTensor, globalStep, { ...options, dataformats: options.dataformats ?? "NCHW" });
  }

  /**
   * Adds a video, as a GIF without sound. Floats are taken from 0 to 1, bytes from 0 to 255.
   *
   * @param vidTensor `(N, T, C, H, W)`; the videos of a batch lie in a grid
   */
  addVideo(tag: string, vidTensor: Tensor, globalStep?: number, options: AddVideoOptions = {}): void {
    const { walltime, fps = 4 } = options;
    this.addSummary([videoSummary(tag, framesOf(vidTensor), fps)], globalStep, walltime);
  }

  /**
   * Adds a sound of one channel, as WAV.
   *
   * @param sndTensor `(1, L)`, from -1 to 1; what is beyond is cut off
   */
  addAudio(tag: string, sndTensor: Tensor, globalStep?: number, options: AddAudioOptions = {}): void {
    const { walltime, sampleRate = 44_100 } = options;
    this.addSummary([audioSummary(tag, sndTensor, sampleRate)], globalStep, walltime);
  }

  /** Adds a text; TensorBoard shows it as Markdown. */
  addText(tag: string, textString: string, globalStep?: number, options: WalltimeOptions = {}): void {
    this.addSummary([textSummary(tag, textString)], globalStep, options.walltime);
  }

  /**
   * Adds hyperparameters with the metrics by which runs are compared, as a run in a folder of its own.
   *
   * @throws ArgumentError where a value in `hparamDomainDiscrete` has another type than the hyperparameter
   */
  addHparams(
    hparamDict: Record<string, HparamValue | null>,
    metricDict: Record<string, number | Tensor>,
    options: AddHparamsOptions = {},
  ): void {
    const { hparamDomainDiscrete, runName, globalStep } = options;
    const params = Object.entries(hparamDict).filter(
      (entry): entry is [string, HparamValue] => entry[1] !== null,
    );
    const values = hparamsSummaries(
      Object.fromEntries(params),
      Object.keys(metricDict),
      hparamDomainDiscrete,
    );
    const writer = new SummaryWriter(join(this.logDir, runName || String(Date.now() / 1000)));
    for (const value of values) writer.addSummary([value], globalStep);
    for (const [name, value] of Object.entries(metricDict)) writer.addScalar(name, value, globalStep);
    writer.close();
  }

  /**
   * Adds the rows of a matrix `(N, D)` to TensorBoard's projector.
   *
   * @throws ArgumentError where there is not a label or an image for each row
   */
  addEmbedding(mat: Tensor, options: AddEmbeddingOptions = {}): void {
    this.#projectorConfig += writeEmbedding(this.#files, this.logDir, mat, options);
    this.#files.write(join(this.logDir, "projector_config.pbtxt"), this.#projectorConfig);
  }

  /**
   * Adds how precision and recall depend on the threshold.
   *
   * @param labels 0 or 1
   * @param predictions from 0 to 1
   */
  addPrCurve(
    tag: string,
    labels: Tensor,
    predictions: Tensor,
    globalStep?: number,
    options: AddPrCurveOptions = {},
  ): void {
    const { walltime, numThresholds = MOST_THRESHOLDS, weights = null } = options;
    const count = Math.min(numThresholds, MOST_THRESHOLDS);
    this.addSummary(
      [prCurveSummary(tag, prCurve(labels, predictions, count, weights), count)],
      globalStep,
      walltime,
    );
  }

  /** Lays out charts of several scalars, by category and title. */
  addCustomScalars(layout: CustomScalarsLayout): void {
    this.addSummary([customScalarsSummary(layout)]);
  }

  /** Lays out a chart of several scalars. */
  addCustomScalarsMultilinechart(
    tags: readonly string[],
    options: { category?: string; title?: string } = {},
  ): void {
    const { category = "default", title = "untitled" } = options;
    this.addCustomScalars({ [category]: { [title]: ["Multiline", tags] } });
  }

  /** Lays out a chart of a scalar between a lower and an upper one. */
  addCustomScalarsMarginchart(
    tags: readonly [value: string, lower: string, upper: string],
    options: { category?: string; title?: string } = {},
  ): void {
    const { category = "default", title = "untitled" } = options;
    this.addCustomScalars({ [category]: { [title]: ["Margin", tags] } });
  }

  /**
   * Adds points or triangles in space.
   *
   * @param vertices `(B, N, 3)`
   */
  addMesh(tag: string, vertices: Tensor, options: AddMeshOptions = {}): void {
    const { colors, faces, configDict = null, globalStep, walltime } = options;
    this.addSummary(meshSummaries(tag, { vertices, colors, faces }, configDict), globalStep, walltime);
  }

  /**
   * Adds the graph of a model: it runs once with the input, in evaluation mode and without gradients.
   *
   * @param inputToModel the input of `forward`, or an array of its arguments
   */
  addGraph(model: nn.Module, inputToModel: Tensor | readonly unknown[]): void {
    this.#file().addGraph(recordGraph(model, inputToModel));
  }

  /** @internal Adds an event with values. */
  addSummary(values: readonly SummaryValue[], globalStep?: number, walltime?: number): void {
    this.#file().add(values, globalStep, walltime);
  }

  /** Writes out what is buffered. */
  flush(): void {
    for (const file of this.#all()) file.flush();
    this.#files.flush();
  }

  /** Writes out what is buffered and closes the files. What is added later goes into a new one. */
  close(): void {
    for (const file of this.#all()) file.close();
    this.#files.flush();
    this.#events = null;
    this.#curves.clear();
  }

  #file(): EventFile {
    this.#events ??= new EventFile(this.logDir, { filenameSuffix: this.#options.filenameSuffix });
    return this.#events;
  }

  #all(): EventFile[] {
    return this.#events ? [this.#events, ...this.#curves.values()] : [...this.#curves.values()];
  }
}

function toNumber(value: number | Tensor, what: string): number {
  if (typeof value === "number") return value;
  if (value instanceof Tensor && value.numel() === 1) return Number(value.item());
  throw new ArgumentError(
    `${what} must be a number or a tensor with one element, got ${value instanceof Tensor ? `the shape [${value.shape.join(", ")}]` : typeof value}.`,
  );
}

/** As in `Mar05_14-30-00`. */
function timeName(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const month = time.toLocaleString("en", { month: "short" });
  return `${month}${two(time.getDate())}_${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join("-")}`;
}
