import * as torch from "@levin/torch";
import { functionOf } from "../levin.js";

interface WorkerInfo {
  id: number;
  seed: number | bigint;
}

/** The numbers 0 .. n - 1; in a worker also which worker and seed: `[index, worker id, worker seed]`. */
export class Numbers {
  constructor(
    readonly length: number,
    readonly workers = false,
  ) {}

  getItem(i: number): torch.Tensor {
    if (!this.workers) return torch.tensor([i], { dtype: "int64" });
    const info = functionOf(torch.data, "data", "get_worker_info")() as WorkerInfo;
    return torch.tensor([BigInt(i), BigInt(info.id), BigInt(info.seed)]);
  }
}

// so that workers can import it
torch.data.forWorkers(import.meta.url, { Numbers });
