import type { Device } from "./device.js";
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

/** The generator that operators on the CPU draw from when none is given. */
export const defaultGenerator: Generator = Generator.default("cpu");

/**
 * Seeds the default generators of all devices.
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
