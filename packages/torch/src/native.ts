import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ArgumentError, DisposedError, LevinError, OperatorError } from "./errors.js";

declare const brand: unique symbol;

/** What the addon gives for a tensor; opaque. */
export type Handle = { readonly [brand]: "tensor" };
/** What the addon gives for a generator; opaque. */
export type GeneratorHandle = { readonly [brand]: "generator" };

/** What the addon gives for a recorded trace; opaque. */
export type TraceHandle = { readonly [brand]: "trace" };

/** What the profiler has recorded. */
export interface ProfilerResult {
  trace: TraceHandle;
  /** The number that the profiled thread has in the events. */
  thread: number;
  names: string[];
  /** For each event as many numbers as `profiler/events.ts` has names for. */
  columns: Float64Array;
  /** The type of device of each event. */
  devices: string[];
  /** The shapes of each event's inputs, where they were recorded. */
  shapes?: number[][][];
  /** The JavaScript stacks of what JavaScript has called, in the order of the calls. */
  stacks: string[];
}

/** The functions of the native addon. Each one checks its arguments and throws one of the errors of `errors.ts`. */
export interface Native {
  initialize(
    argumentError: typeof ArgumentError,
    operatorError: typeof OperatorError,
    disposedError: typeof DisposedError,
    collectGarbage: (kind: "minor" | "major") => void,
  ): void;

  findOperator(name: string): number;
  call(operatorAndPositionalCount: number, ...values: unknown[]): unknown;
  schemas(): string[];

  sizes(tensor: Handle): number[];
  sameSizes(tensor: Handle, other: Handle): boolean;
  kindNumber(tensor: Handle): number;
  kindNames(tensor: Handle): [dtype: string, device: string, layout: string];
  strides(tensor: Handle): number[];
  storageOffset(tensor: Handle): number;
  dim(tensor: Handle): number;
  numel(tensor: Handle): number;
  isContiguous(tensor: Handle): boolean;
  isView(tensor: Handle): boolean;
  isNested(tensor: Handle): boolean;
  isSame(tensor: Handle, other: Handle): boolean;
  dataPointer(tensor: Handle): bigint;
  item(tensor: Handle): number | bigint | boolean | { re: number; im: number };
  fromBytes(array: ArrayBufferView, dtype: string, shape: readonly number[]): Handle;
  toBytes(tensor: Handle, into: ArrayBufferView): void;
  viewBytes(tensor: Handle): ArrayBuffer;
  storageBytes(tensor: Handle): ArrayBuffer;
  storageSize(tensor: Handle): number;
  withStorageBytes(tensor: Handle, offset: number, size: number, use: (bytes: ArrayBuffer) => void): void;
  writeStorage(tensor: Handle, offset: number, bytes: Uint8Array): void;
  mapFile(file: number, offset: number, size: number): Handle;
  storageId(tensor: Handle): bigint;
  viewStorage(
    tensor: Handle,
    dtype: string,
    shape: readonly number[],
    stride: readonly number[],
    offset: number,
  ): Handle;
  fitsFusedKernel(lists: Handle[][], counts: Handle[]): boolean;

  backward(
    tensors: Handle[],
    gradients: (Handle | null)[] | null,
    retainGraph: boolean | null,
    createGraph: boolean,
    inputs: Handle[] | null,
  ): void;
  gradients(
    outputs: Handle[],
    inputs: Handle[],
    gradOutputs: (Handle | null)[] | null,
    retainGraph: boolean | null,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  requiresGrad(tensor: Handle): boolean;
  setRequiresGrad(tensor: Handle, value: boolean): void;
  isLeaf(tensor: Handle): boolean;
  gradFunctionName(tensor: Handle): string | null;
  version(tensor: Handle): number;
  grad(tensor: Handle): Handle | null;
  setGrad(tensor: Handle, gradient: Handle | null): void;
  gradDtype(tensor: Handle): string | null;
  setGradDtype(tensor: Handle, dtype: string | null): void;
  grads(tensors: Handle[]): (Handle | null)[];
  lendGrads(tensors: readonly Handle[], handles: readonly Handle[]): boolean;
  zeroGrad(tensors: Handle[], setToNone: boolean): void;
  data(tensor: Handle): Handle;
  setData(tensor: Handle, data: Handle): void;
  addHook(tensor: Handle, hook: (gradient: Handle) => Handle | null | undefined): number;
  removeHook(tensor: Handle, hook: number): void;
  addAccumulateHook<T extends object>(
    tensor: Handle,
    hook: (tensor: Handle, owner?: T) => void,
    owner: T,
  ): number;
  removeAccumulateHook(tensor: Handle, hook: number): void;
  attachFunction(
    name: string,
    inputs: Handle[],
    outputs: Handle[],
    backward: (gradients: (Handle | null)[], saved: (Handle | null)[] | null) => (Handle | null)[],
    saved: (Handle | null)[],
    nonDifferentiable: Handle[],
    dirty: Handle[],
    materializeGrads: boolean,
  ): Handle[];
  setGradEnabled(enabled: boolean): boolean;
  isGradEnabled(): boolean;
  enterInferenceMode(enabled: boolean): number;
  leaveInferenceMode(depth: number): void;
  isInferenceMode(): boolean;
  setDetectAnomaly(
    enabled: boolean,
    checkNan: boolean,
    captureStack: () => string,
    show: (name: string, stack: string, isParent: boolean) => void,
  ): void;
  isDetectAnomaly(): boolean;
  autocastState(device: string): [enabled: boolean, dtype: string, cacheEnabled: boolean];
  setAutocast(device: string, enabled: boolean, dtype: string, cacheEnabled: boolean, nesting: number): void;
  serveHooksFromHelperThread(always: boolean): void;

  pushSavedHooks(pack: ((tensor: Handle) => object) | null, unpack?: (packed: never) => Handle): number;
  popSavedHooks(depth: number): void;
  incrementVersion(tensor: Handle): void;
  enterDualLevel(): number;
  exitDualLevel(level: number): void;
  pushLayer(kind: "vmap" | "grad" | "jvp", batchSize?: number, randomness?: string): number;
  popLayer(level: number): void;
  addBatchDim(tensor: Handle, dim: number, level: number): Handle;
  removeBatchDim(tensor: Handle, level: number, batchSize: number, outDim: number): Handle;
  wrapForGrad(tensor: Handle, level: number): Handle;
  unwrapForGrad(tensor: Handle, level: number): Handle;

  makeGenerator(device: string): GeneratorHandle;
  defaultGenerator(device: string): GeneratorHandle;
  generatorSeed(generator: GeneratorHandle, seed: number | bigint): void;
  generatorInitialSeed(generator: GeneratorHandle): bigint;
  generatorRandomSeed(generator: GeneratorHandle): bigint;
  generatorState(generator: GeneratorHandle): Handle;
  setGeneratorState(generator: GeneratorHandle, state: Handle): void;
  generatorDevice(generator: GeneratorHandle): string;
  manualSeed(seed: number | bigint): void;

  setNumThreads(count: number): void;
  getNumThreads(): number;
  deviceCount(device: string): number;
  synchronize(device: string): void;
  loadLibrary(path: string): string | null;
  buildInfo(): {
    torchVersion: string;
    config: string;
    parallelInfo: string;
    numThreads: number;
    numInteropThreads: number;
  };
  setDefaultDtype(dtype: string): void;
  getDefaultDtype(): string;
  setDeterministic(enabled: boolean, warnOnly: boolean): void;
  isDeterministic(): boolean;

  acceleratorType(): string | null;
  currentDeviceIndex(): number;
  setDeviceIndex(index: number): void;
  deviceMemoryStats(index: number | null): Record<string, number>;
  resetPeakDeviceMemoryStats(index: number | null): void;
  resetAccumulatedDeviceMemoryStats(index: number | null): void;
  emptyDeviceCache(): void;
  deviceMemoryInfo(index: number | null): number[];
  cudaDeviceProperties(index: number | null): {
    name: string;
    totalMemory: number;
    multiProcessorCount: number;
    major: number;
    minor: number;
  };

  prepareProfiler(
    activities: readonly string[],
    recordShapes: boolean,
    profileMemory: boolean,
    withFlops: boolean,
  ): void;
  startProfiler(captureStack: (() => string) | null): void;
  stopProfiler(): ProfilerResult | null;
  addTraceMetadata(key: string, json: string): void;
  saveTrace(trace: TraceHandle, path: string): void;
  beginRange(name: string): number;
  endRange(range: number): void;

  recordCalls(names: string[] | null): void;
  takeCalls(): [name: string, inputs: unknown[], outputs: unknown[]][];
  setFloat32MatmulPrecision(precision: string): void;
  getFloat32MatmulPrecision(): string;
  setFlushDenormal(enabled: boolean): boolean;
  setNumInteropThreads(count: number): void;
  getNumInteropThreads(): number;
  initNumThreads(): void;
  setWarnAlways(enabled: boolean): void;
  isWarnAlways(): boolean;
  isDeterministicWarnOnly(): boolean;
  isAnomalyCheckNan(): boolean;
  clearAutocastCache(): void;
  setMultithreading(enabled: boolean): void;
  isMultithreading(): boolean;
  cudnnSetting(name: "enabled" | "benchmark" | "deterministic", value: boolean | null): boolean;

  dispose(tensor: Handle): void;
  disposeAll(tensors: readonly Handle[]): void;
  isDisposed(tensor: Handle): boolean;
  memoryStats(): {
    liveBytes: number;
    liveTensors: number;
    minorCollections: number;
    majorCollections: number;
  };
  collect(): void;
  pauseCollection(value: boolean): boolean;
  threadId(): number;
  isThreadAlive(id: number): boolean;
  share(tensor: Handle): number;
  adopt(token: number): Handle;
}

const build = fileURLToPath(new URL("../build/", import.meta.url));
const addon = join(build, "levin_torch.node");

/** Where libtorch was found when the addon was built, as the set-up step recorded it. */
interface LibtorchRecord {
  path: string;
  version: string;
  source: string;
  cuda?: boolean;
}

/** The record of the set-up step, or null where there is none. */
function libtorchRecord(): LibtorchRecord | null {
  const file = join(build, "libtorch.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as LibtorchRecord) : null;
}

/**
 * Programs on tensors run the same few hundred functions from the first step on. By default V8 takes some 2,500 small training steps
 * until all of them are optimized. The measurements are those of the workload "tiny" in benchmarks.
 */
function tuneEngine(): void {
  setFlagsFromString("--interrupt-budget=10000");
}

function garbageCollector(): (kind: "minor" | "major") => void {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options?: { type: "minor" }) => void;
  // Node 20's gc() knows no type "major": it takes an object that it doesn't understand for `true`, which asks for a minor collection.
  return (type) => {
    if (type === "major") return gc();
    // little has survived: to wake other threads for it takes longer than to collect it
    setFlagsFromString("--no-parallel-scavenge");
    gc({ type });
    setFlagsFromString("--parallel-scavenge");
  };
}

function load(): Native {
  tuneEngine();
  let loaded: Native;
  try {
    loaded = createRequire(import.meta.url)(addon) as Native;
  } catch (cause) {
    const why = existsSync(addon) ? (cause as Error).message : `${addon} does not exist`;
    throw new LevinError(
      `The native addon of @levin/torch could not be loaded: ${why}\n` +
        "Run the set-up step to build it: `npx levin-torch-setup`, or `npm run setup` in a checkout.",
      { cause },
    );
  }
  loaded.initialize(ArgumentError, OperatorError, DisposedError, garbageCollector());
  loadCuda(loaded);
  return loaded;
}

/** CUDA's operators register themselves when their library is loaded: only where there is a driver, since it takes a second. */
function loadCuda(loaded: Native): void {
  const record = libtorchRecord();
  if (record === null) return;
  const library = join(record.path, "lib", "libtorch_cuda.so");
  const driver = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"].some((path) => existsSync(path));
  if (driver && existsSync(library)) cudaProblem = loaded.loadLibrary(library);
}

/** Why CUDA's library could not be loaded although there is a driver, else null. */
export let cudaProblem: string | null = null;

/** The addon, loaded with this module. */
export const native: Native = load();
