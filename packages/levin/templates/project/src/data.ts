import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Points of the plane (N, 2), and on which of the two spirals they are (N). */
export type Batch = [points: Tensor, labels: Tensor];

export interface SpiralsOptions {
  batchSize?: number;
  /** How many points there are to train with. */
  size?: number;
  /** How far the points are from their spiral. */
  noise?: number;
}

/** Two spirals that wind around each other. */
export class Spirals extends LightningDataModule<Batch> {
  readonly #batchSize: number;
  readonly #size: number;
  readonly #noise: number;

  constructor({ batchSize = 32, size = 1000, noise = 0.05 }: SpiralsOptions = {}) {
    super();
    this.#batchSize = batchSize;
    this.#size = size;
    this.#noise = noise;
  }

  override trainDataloader() {
    return new data.DataLoader(this.#points(this.#size, 1), { batchSize: this.#batchSize, shuffle: true });
  }

  override valDataloader() {
    return new data.DataLoader(this.#points(500, 2), { batchSize: 500 });
  }

  override testDataloader() {
    return new data.DataLoader(this.#points(500, 3), { batchSize: 500 });
  }

  #points(size: number, seed: number): data.TensorDataset {
    const generator = new torch.Generator().manualSeed(seed);
    const labels = torch.randint(0, 2, [size], { generator });
    const radius = torch.rand([size], { generator });
    // a turn and a half each, one of them on the other side
    const angle = radius.mul(3 * Math.PI).add(labels.mul(Math.PI));
    const points = torch.stack([angle.cos().mul(radius), angle.sin().mul(radius)], 1);
    return new data.TensorDataset(points.add(torch.randn([size, 2], { generator }).mul(this.#noise)), labels);
  }
}
