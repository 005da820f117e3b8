// Datasets for the comparison with torch.utils.data, as data_order.py has them.
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";

function trace(index: number): [Tensor, Tensor] {
  const info = data.getWorkerInfo();
  return info
    ? [torch.tensor([BigInt(index), BigInt(info.id), info.seed]), torch.rand([1], { dtype: "float64" })]
    : [torch.tensor([index, -1, -1]), torch.zeros([1])];
}

export class Rows implements data.Dataset<[Tensor, Tensor]> {
  constructor(readonly length: number) {}
  getItem(index: number): [Tensor, Tensor] {
    return trace(index);
  }
}

export class Stream {
  constructor(
    readonly end: number,
    readonly short: number | null,
  ) {}

  *[Symbol.iterator](): IterableIterator<[Tensor, Tensor]> {
    const { id, numWorkers } = data.getWorkerInfo() ?? { id: 0, numWorkers: 1 };
    for (let i = id, place = 0; i < this.end; i += numWorkers, place++) {
      if (id === 0 && this.short !== null && place >= this.short) return;
      yield trace(i);
    }
  }
}

data.forWorkers(import.meta.url, { Rows, Stream });
