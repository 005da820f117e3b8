import * as torch from "@levin/torch";
import { Generator, type Tensor } from "@levin/torch";

/** The states of all default generators: of the CPU, and of each CUDA device. */
export interface RngState {
  cpu: Tensor;
  cuda?: Tensor[];
}

/** The state of all random numbers that are drawn without a generator of one's own. */
export function getRngStates(): RngState {
  const cpu = torch.getRngState();
  const count = torch.cuda.deviceCount();
  if (count === 0) return { cpu };
  return { cpu, cuda: cudaGenerators(count).map((generator) => generator.getState()) };
}

/** Sets the random numbers back to a state; states of devices that are not there are left out. */
export function setRngStates({ cpu, cuda = [] }: RngState): void {
  torch.setRngState(cpu);
  const generators = cudaGenerators(Math.min(cuda.length, torch.cuda.deviceCount()));
  for (const [i, generator] of generators.entries()) generator.setState(cuda[i]!);
}

function cudaGenerators(count: number): Generator[] {
  return Array.from({ length: count }, (_, i) => Generator.default(`cuda:${i}`));
}

/** Runs a function and sets the random numbers back to where they were. */
export async function isolateRng<T>(run: () => Promise<T>): Promise<T> {
  const state = getRngStates();
  try {
    return await run();
  } finally {
    setRngStates(state);
  }
}
