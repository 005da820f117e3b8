import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";

const { pad } = torch.nn.functional;
const SIZE = 28;
const BORDER = 2;
const WIDTH = SIZE + 2 * BORDER;

/** Pads by 2, crops 28x28 at a place that depends on the index, flips every other one, normalises. */
export class Augmented implements data.Dataset<[Tensor, Tensor]> {
  readonly length: number;

  constructor(
    readonly images: Tensor,
    readonly labels: Tensor,
  ) {
    this.length = images.size(0);
  }

  getItem(i: number): [Tensor, Tensor] {
    let x = this.images.select(0, i).float().div(255);
    x = pad(x, [BORDER, BORDER, BORDER, BORDER]);
    const [dy, dx] = corner(i);
    x = x.narrow(0, dy, SIZE).narrow(1, dx, SIZE);
    if (i % 2 === 1) x = x.flip([1]);
    return [x.sub(0.1307).div(0.3081).unsqueeze(0), this.labels.select(0, i)];
  }

  /** The same for a whole batch: one gather crops and flips all images. */
  getItems(indices: readonly number[]): [Tensor, Tensor] {
    const rows = torch.fromTypedArray(Int32Array.from(indices));
    const bytes = this.images.indexSelect(0, rows);
    const padded = pad(bytes.float().div_(255), [BORDER, BORDER, BORDER, BORDER]);
    const cropped = padded.flatten(1).gather(1, places(indices)).view([-1, 1, SIZE, SIZE]);
    return [cropped.sub_(0.1307).div_(0.3081), this.labels.indexSelect(0, rows)];
  }
}

/** Where an image is cropped. */
function corner(i: number): [dy: number, dx: number] {
  return [(i * 7) % (2 * BORDER + 1), (i * 11) % (2 * BORDER + 1)];
}

/** Which pixels of the padded images make the cropped ones: (n, 28 * 28). */
function places(indices: readonly number[]): Tensor {
  const down = new Int32Array(indices.length * SIZE);
  const across = new Int32Array(indices.length * SIZE);
  for (const [k, i] of indices.entries()) {
    const [dy, dx] = corner(i);
    for (let j = 0; j < SIZE; j++) {
      down[k * SIZE + j] = (dy + j) * WIDTH;
      across[k * SIZE + j] = dx + (i % 2 === 1 ? SIZE - 1 - j : j);
    }
  }
  const rows = torch.fromTypedArray(down, [indices.length, SIZE, 1]);
  return rows
    .add(torch.fromTypedArray(across, [indices.length, 1, SIZE]))
    .flatten(1)
    .long();
}

data.forWorkers(import.meta.url, { Augmented });
