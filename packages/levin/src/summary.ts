import { FlopCounterMode, nn, noGrad, type RemovableHandle, Tensor } from "@levin/torch";
import { MisconfigurationError } from "./errors.js";
import { makeTransfer, transferBatch } from "./loops/transfer.js";
import { warnOnce } from "./messages.js";
import { attachment, type LightningModule } from "./module.js";
import { formatThousands } from "./python-format.js";
import { isThenable } from "./thenable.js";

/** The sizes of what a layer takes or gives: of a tensor, of several, or "?" where they are not known. */
export type Size = "?" | number[] | Size[];

/** Options of {@link summarize}. */
export interface SummarizeOptions {
  /** How deep nested layers are listed: 1 for the direct children only, -1 for all, 0 for none. Default: 1. */
  maxDepth?: number;
}

/** One layer of a {@link Summary}. */
export interface LayerSummary {
  readonly name: string;
  /** The name of its class. */
  readonly type: string;
  readonly parameters: number;
  readonly training: boolean;
  /** The floating point operations of the example input's way through it; see {@link FlopCounterMode}. */
  readonly flops: number;
  readonly inSize: Size;
  readonly outSize: Size;
}

const units = [" ", "K", "M", "B", "T"];
const notApplicable = "n/a";

/** What is found out about a layer when the example input passes through it. */
interface Passage {
  inSize: Size;
  outSize: Size;
  flops: number;
}

/** The layers of a module, with their parameters and (where there is an `exampleInputArray`) sizes and operations. */
export class Summary {
  readonly layers: readonly LayerSummary[];
  readonly totalParameters: number;
  readonly trainableParameters: number;
  /** How many modules below the root are in training and in evaluation mode. */
  readonly totalTrainingModes: { readonly train: number; readonly eval: number };
  /** The size of the parameters in megabytes. */
  readonly modelSize: number;
  /** The floating point operations of the example input's way through the module. */
  readonly totalFlops: number;
  readonly #hasSizes: boolean;

  constructor(module: LightningModule, options: SummarizeOptions = {}) {
    const maxDepth = options.maxDepth ?? 1;
    if (!Number.isInteger(maxDepth) || maxDepth < -1) {
      throw new MisconfigurationError(`maxDepth can be -1, 0 or > 0, got ${String(maxDepth)}.`);
    }
    this.#hasSizes = module.exampleInputArray != null;
    const modes = module.modules().map((each) => each.training);
    const below =
      maxDepth === 0 ? [] : maxDepth === 1 ? module.namedChildren() : module.namedModules().slice(1);
    const passages = new Map<nn.Module, Passage>();
    this.totalFlops = module.exampleInputArray == null ? 0 : passThrough(module, below, passages);
    this.layers = below
      .filter(([name]) => maxDepth === -1 || name.split(".").length <= maxDepth)
      .map(([name, layer]) => ({
        name,
        type: layer.constructor.name,
        parameters: count(layer.parameters()),
        training: layer.training,
        ...(passages.get(layer) ?? { inSize: "?", outSize: "?", flops: 0 }),
      }));
    const parameters = module.parameters();
    this.totalParameters = count(parameters);
    this.trainableParameters = count(parameters.filter((parameter) => parameter.requiresGrad));
    const training = modes.slice(1).filter(Boolean).length;
    this.totalTrainingModes = { train: training, eval: modes.length - 1 - training };
    const precision = module.hasTrainer ? module.trainer.precision : "32-true";
    const bytes = precision === "64-true" ? 8 : precision === "bf16-true" || precision === "16-true" ? 2 : 4;
    this.modelSize = this.totalParameters * bytes * 1e-6;
  }

  /** The table, in Lightning's form. */
  toString(): string {
    const { layers } = this;
    const columns: [title: string, cells: string[]][] = [
      [" ", layers.map((_, i) => String(i))],
      ["Name", layers.map((layer) => layer.name)],
      ["Type", layers.map((layer) => layer.type)],
      ["Params", layers.map((layer) => readableCount(layer.parameters))],
      ["Mode", layers.map((layer) => (layer.training ? "train" : "eval"))],
      ["FLOPs", layers.map((layer) => readableCount(layer.flops))],
    ];
    if (this.#hasSizes) {
      columns.push(["In sizes", layers.map((layer) => formatSize(layer.inSize))]);
      columns.push(["Out sizes", layers.map((layer) => formatSize(layer.outSize))]);
    }
    const others = this.totalParameters - layers.reduce((sum, layer) => sum + layer.parameters, 0);
    if (others > 0) {
      const row: Record<string, string> = { " ": " ", Name: "other params", Params: readableCount(others) };
      for (const [title, cells] of columns) cells.push(row[title] ?? notApplicable);
    }
    return [formatTable(columns), ...this.#totals()].join("\n");
  }

  #totals(): string[] {
    const { totalParameters, trainableParameters, totalTrainingModes } = this;
    return [
      [readableCount(trainableParameters), "Trainable params"],
      [readableCount(totalParameters - trainableParameters), "Non-trainable params"],
      [readableCount(totalParameters), "Total params"],
      [formatThousands(this.modelSize, 3), "Total estimated model params size (MB)"],
      [String(totalTrainingModes.train), "Modules in train mode"],
      [String(totalTrainingModes.eval), "Modules in eval mode"],
      [readableCount(this.totalFlops), "Total Flops"],
    ].map(([value, name]) => value!.padEnd(10) + name);
  }
}

/**
 * Summarizes the layers of a module; `String(summary)` is the table that is printed when a fit begins.
 *
 * Where the module has an `exampleInputArray`, it is passed through `forward` once, in evaluation mode and without
 * gradients, to find the sizes and the floating point operations.
 */
export function summarize(module: LightningModule, options: SummarizeOptions = {}): Summary {
  return new Summary(module, options);
}

/** Passes the example input through the module and notes what happens in each layer; gives the operations of it all. */
function passThrough(
  module: LightningModule,
  layers: [string, nn.Module][],
  passages: Map<nn.Module, Passage>,
): number {
  const trainer = module[attachment].trainer;
  const transfer = makeTransfer(module, trainer?.datamodule ?? null, module.device);
  const input = transferBatch(transfer, module.exampleInputArray, 0);
  if (isThenable(input)) {
    throw new MisconfigurationError(
      "The model summary cannot wait for asynchronous transfer hooks: make them synchronous, leave out exampleInputArray, " +
        "or set Trainer({ enableModelSummary: false }).",
    );
  }
  const counter = new FlopCounterMode();
  const handles = layers.flatMap(([, layer]) => watch(layer, counter, passages));
  const modes = module.modules().map((each) => [each, each.training] as const);
  module.eval();
  const leave = trainer?.strategy.precision.enterForward?.();
  try {
    const forward = (...args: unknown[]) => (module.forward as (...args: unknown[]) => unknown)(...args);
    counter.run(() => noGrad(() => void (Array.isArray(input) ? forward(...input) : forward(input))));
  } finally {
    leave?.();
    for (const [each, training] of modes) each.training = training;
    for (const handle of handles) handle.remove();
  }
  return counter.getTotalFlops();
}

/** Notes the sizes of a layer's first call, and adds up the operations of all. */
function watch(
  layer: nn.Module,
  counter: FlopCounterMode,
  passages: Map<nn.Module, Passage>,
): RemovableHandle[] {
  const before: number[] = [];
  return [
    layer.registerForwardPreHook(() => void before.push(counter.getTotalFlops())),
    layer.registerForwardHook((_, args, output) => {
      const flops = counter.getTotalFlops() - before.pop()!;
      const known = passages.get(layer);
      if (known) known.flops += flops;
      else {
        const inSize = sizeOf(args.length === 1 ? args[0] : args);
        passages.set(layer, { inSize, outSize: sizeOf(output), flops });
      }
    }),
  ];
}

function sizeOf(value: unknown): Size {
  if (value instanceof Tensor) return [...value.shape];
  return Array.isArray(value) ? value.map(sizeOf) : "?";
}

function formatSize(size: Size): string {
  if (size === "?") return size;
  return `[${size.map((each) => (typeof each === "number" ? each : each === "?" ? "'?'" : formatSize(each))).join(", ")}]`;
}

function count(parameters: Tensor[]): number {
  const known = parameters.filter((parameter) => !(parameter instanceof nn.UninitializedParameter));
  if (known.length < parameters.length) {
    warnOnce(
      "The numbers of parameters do not count those of lazy modules that were not called yet. Set `exampleInputArray` in the module to have them.",
    );
  }
  return known.reduce((sum, parameter) => sum + parameter.numel(), 0);
}

/** A count in thousands, millions, ...: "123  ", "1.2 K", "400 T". */
function readableCount(number: number): string {
  const groups = Math.min(Math.ceil(String(number).length / 3), units.length);
  const scaled = number * Number(`1e${-3 * (groups - 1)}`);
  const digits = groups < 2 || scaled >= 100 ? 0 : 1;
  return `${formatThousands(digits === 0 ? Math.trunc(scaled) : scaled, digits)} ${units[groups - 1]}`;
}

function formatTable(columns: [title: string, cells: string[]][]): string {
  const widths = columns.map(([title, cells]) => Math.max(title.length, ...cells.map((cell) => cell.length)));
  const line = (cells: string[]) => cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ");
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width, 0) + 3 * (columns.length + 1));
  const rows = columns[0]![1].map((_, row) => line(columns.map(([, cells]) => cells[row]!)));
  return [line(columns.map(([title]) => title)), rule, ...rows, rule].join("\n");
}
