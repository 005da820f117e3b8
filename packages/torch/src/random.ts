import { requireFunction } from "./checks.js";
import { cuda, type Device } from "./device.js";
import { runSynchronously } from "./grad-mode.js";
import { type GeneratorHandle, native } from "./native.js";
import { Tensor } from "./tensor.js";

/**
 * A source of random numbers with a state of its own.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.Generator.html
 */
export class Generator {
  /** @internal */
  readonly handle: GeneratorHandle;

  constructor(device: Device = "cpu") {
    this.handle = native.makeGenerator(device);
  }

  /** @internal */
  static default(device: Device): Generator {
    const generator = Object.create(Generator.prototype) as { handle: GeneratorHandle };
    generator.handle = native.defaultGenerator(device);
    return generator as Generator;
  }

  get device(): Device {
    return native.generatorDevice(this.handle) as Device;
  }

  /** Starts the sequence that belongs to the seed. */
  manualSeed(seed: number | bigint): this {
    native.generatorSeed(this.handle, seed);
    return this;
  }

  /** Takes a seed from the operating system and returns it. */
  seed(): bigint {
    return native.generatorRandomSeed(this.handle);
  }

  /** The seed that the current sequence started from. */
  initialSeed(): bigint {
    return native.generatorInitialSeed(this.handle);
  }

  /** The state as a `uint8` tensor, PyTorch's own bytes. */
  getState(): Tensor {
    return Tensor.wrap(native.generatorState(this.handle));
  }

  /** Continues from a state that `getState()` gave. */
  setState(state: Tensor): this {
    native.setGeneratorState(this.handle, Tensor.unwrap(state, "setState: state"));
    return this;
  }
}

/** The generator that operators on the CPU draw from when none is given. Each thread has one of its own, as if it were a process. */
export const defaultGenerator: Generator = Generator.default("cpu");

/**
 * Seeds the default generators of all devices; on the CPU, that of this thread.
 *
 * @returns the CPU's default generator
 * @see https://pytorch.org/docs/stable/generated/torch.manual_seed.html
 */
export function manualSeed(seed: number | bigint): Generator {
  native.manualSeed(seed);
  return defaultGenerator;
}

/** Takes a new seed from the operating system for the default generators, and returns it. */
export function seed(): bigint {
  const value = defaultGenerator.seed();
  native.manualSeed(value);
  return value;
}

/** The seed of the CPU's default generator. */
export function initialSeed(): bigint {
  return defaultGenerator.initialSeed();
}

/** The state of the CPU's default generator as a `uint8` tensor. */
export function getRngState(): Tensor {
  return defaultGenerator.getState();
}

/** Sets the state of the CPU's default generator. */
export function setRngState(state: Tensor): void {
  defaultGenerator.setState(state);
}

/** Options of {@link forkRng}. */
export interface ForkRngOptions {
  /** The accelerators whose generators are set back, besides the CPU's. Default: all CUDA devices. */
  devices?: readonly Device[];
  /** Whether it does anything. Default: true. */
  enabled?: boolean;
}

/**
 * Runs a synchronous function and sets the default generators back to where they were before.
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/random.html#torch.random.fork_rng
 */
export function forkRng<T>(body: () => T, options: ForkRngOptions = {}): T {
  requireFunction(body, "forkRng");
  const { enabled = true } = options;
  if (!enabled) return body();
  const accelerators =
    options.devices ?? Array.from({ length: cuda.deviceCount() }, (_, i): Device => `cuda:${i}`);
  const generators = [defaultGenerator, ...accelerators.map((device) => Generator.default(device))];
  const states = generators.map((generator) => generator.getState());
  return runSynchronously("forkRng", body, () => {
    for (const [i, generator] of generators.entries()) generator.setState(states[i] as Tensor);
  });
}
