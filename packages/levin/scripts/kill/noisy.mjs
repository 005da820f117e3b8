// Datasets with random numbers in them, for train.mjs; a module of its own, so that loader workers can import them.
import * as torch from "@levin/torch";
import { data } from "@levin/torch";

/** Samples with noise of the default generator. */
export class Noisy {
  length = 48;

  getItem(index) {
    return [torch.randn([6]).add(index / 48), torch.tensor(index % 3, { dtype: "int64" })];
  }
}

/** The same samples one after the other, without a length; the iterator knows where it is. */
export class Stream {
  [Symbol.iterator]() {
    const samples = new Noisy();
    let index = 0;
    return {
      next: () =>
        index < samples.length
          ? { done: false, value: samples.getItem(index++) }
          : { done: true, value: undefined },
      stateDict: () => ({ index }),
      loadStateDict: (state) => {
        index = state.index;
      },
      [Symbol.iterator]() {
        return this;
      },
    };
  }
}

data.forWorkers(import.meta.url, { Noisy, Stream });
