import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { expect, it } from "vitest";
import { Augmented } from "../dist/augmented.js";

it("makes whole batches that are the same to the bit as those of single samples", () => {
  const images = torch.randint(0, 256, [20, 28, 28], { dtype: "uint8" });
  const dataset = new Augmented(images, torch.arange(20));
  const indices = [3, 0, 19, 8, 7, 4];
  const [x, y] = dataset.getItems(indices);
  const samples = indices.map((i) => dataset.getItem(i));
  const [single, labels] = data.defaultCollate(samples) as unknown as [Tensor, Tensor];
  expect([x.equal(single), y.equal(labels), x.shape]).toEqual([true, true, [6, 1, 28, 28]]);
});
