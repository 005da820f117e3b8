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

/** The functions of the native addon. Each one checks its arguments and throws one of the errors of `errors.ts`. */
export interface Native {
  initialize(
    argumentError: typeof ArgumentError,
    operatorError: typeof OperatorError,
    disposedError: typeof DisposedError,
    collectGarbage: (kind: "minor" | "major") => void,
  ): void;

  findOperator(name: string): number;
  call(operator: number, positionalCount: number, ...values: unknown[]): unknown;
  schemas(): string[];

  sizes(tensor: Handle): number[];
  strides(tensor: Handle): number[];
  storageOffset(tensor: Handle): number;
  dim(tensor: Handle): number;
  numel(tensor: Handle): number;
  dtype(tensor: Handle): string;
  device(tensor: Handle): string;
  layout(tensor: Handle): string;
  isContiguous(tensor: Handle): boolean;
  isView(tensor: Handle): boolean;
  isSame(tensor: Handle, other: Handle): boolean;
  item(tensor: Handle): number | bigint | boolean | { re: number; im: number };
  fromBytes(array: ArrayBufferView, dtype: string, shape: readonly number[]): Handle;
  toBytes(tensor: Handle): ArrayBuffer;
  viewBytes(tensor: Handle): ArrayBuffer;
  storageBytes(tensor: Handle): ArrayBuffer;
  storageId(tensor: Handle): bigint;
  viewStorage(
    tensor: Handle,
    dtype: string,
    shape: readonly number[],
    stride: readonly number[],
    offset: number,
  ): Handle;

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
  grads(tensors: Handle[]): (Handle | null)[];
  zeroGrad(tensors: Handle[], setToNone: boolean): void;
  data(tensor: Handle): Handle;
  setData(tensor: Handle, data: Handle): void;
  addHook(tensor: Handle, hook: (gradient: Handle) => Handle | null | undefined): number;
  removeHook(tensor: Handle, hook: number): void;
  addAccumulateHook(tensor: Handle, hook: (tensor: Handle) => void): number;
  removeAccumulateHook(tensor: Handle, hook: number): void;
  attachFunction(
    name: string,
    inputs: Handle[],
    outputs: Handle[],
    backward: (gradients: (Handle | null)[], saved: (Handle | null)[]) => (Handle | null)[],
    saved: (Handle | null)[],
    nonDifferentiable: Handle[],
    dirty: Handle[],
    materializeGrads: boolean,
  ): Handle[];
  setGradEnabled(enabled: boolean): void;
  isGradEnabled(): boolean;
  enterInferenceMode(enabled: boolean): number;
  leaveInferenceMode(depth: number): void;
  isInferenceMode(): boolean;
  setDetectAnomaly(enabled: boolean, checkNan: boolean): void;
  isDetectAnomaly(): boolean;
  autocastState(device: string): [enabled: boolean, dtype: string, cacheEnabled: boolean];
  setAutocast(device: string, enabled: boolean, dtype: string, cacheEnabled: boolean, nesting: number): void;
  serveHooksFromHelperThread(always: boolean): void;

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

  dispose(tensor: Handle): void;
  isDisposed(tensor: Handle): boolean;
  memoryStats(): {
    liveBytes: number;
    liveTensors: number;
    minorCollections: number;
    majorCollections: number;
  };
  collect(): void;
  share(tensor: Handle): number;
  adopt(token: number): Handle;
}

const build = fileURLToPath(new URL("../build/", import.meta.url));
const addon = join(build, "levin_torch.node");

/** Where libtorch was found when the addon was built, as the set-up step recorded it. */
export interface LibtorchRecord {
  path: string;
  version: string;
  source: string;
  cuda?: boolean;
}

/** The record of the set-up step, or null where there is none. */
export function libtorchRecord(): LibtorchRecord | null {
  const file = join(build, "libtorch.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as LibtorchRecord) : null;
}

function garbageCollector(): (kind: "minor" | "major") => void {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "minor" | "major"; execution: "sync" }) => void;
  return (type) => gc({ type, execution: "sync" });
}

function load(): Native {
  let loaded: Native;
  try {
    loaded = createRequire(import.meta.url)(addon) as Native;
  } catch (cause) {
    const why = existsSync(addon) ? (cause as Error).message : `${addon} does not exist`;
    throw new LevinError(
      `The native addon of @levin/torch could not be loaded: ${why}\n` +
        "Run the set-up step (`npm run setup` in a checkout) to build it; `npx levin doctor` tells what was found.",
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
