import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, ModelSummary, type Summary, setQuiet, summarize, Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(() => setQuiet(true));

class Net extends LightningModule<Tensor> {
  readonly net = new nn.Sequential(new nn.Linear(256, 512), new nn.BatchNorm1d(512));
  readonly scale = new nn.Parameter(torch.ones([3]));
  readonly unused = new nn.Linear(1000, 2000);

  constructor(example: unknown = null) {
    super();
    this.exampleInputArray = example;
    this.unused.requiresGrad_(false).eval();
  }

  override forward(x: Tensor): Tensor {
    return this.net.forward(x);
  }

  override trainingStep(batch: Tensor): Tensor {
    return this.forward(batch).mean();
  }

  override configureOptimizers() {
    return new optim.SGD(this.net.parameters(), { lr: 0.1 });
  }
}

describe("summarize", () => {
  it("lists the children with their parameters, as Lightning prints them", () => {
    expect(String(summarize(new Net()))).toBe(
      [
        "  | Name         | Type       | Params | Mode  | FLOPs",
        "------------------------------------------------------------",
        "0 | net          | Sequential | 132 K  | train | 0    ",
        "1 | unused       | Linear     | 2.0 M  | eval  | 0    ",
        "  | other params | n/a        | 3      | n/a   | n/a  ",
        "------------------------------------------------------------",
        "132 K     Trainable params",
        "2.0 M     Non-trainable params",
        "2.1 M     Total params",
        "8.538     Total estimated model params size (MB)",
        "3         Modules in train mode",
        "1         Modules in eval mode",
        "0         Total Flops",
      ].join("\n"),
    );
  });

  it("does not count the parameters of a lazy module that has no shape yet", () => {
    class Lazy extends LightningModule<Tensor> {
      readonly first = new nn.LazyLinear(3);
      readonly second = new nn.Linear(3, 1);
    }
    const summary = summarize(new Lazy());
    expect(summary.layers.map(({ parameters }) => parameters)).toEqual([0, 4]);
    expect(summary.totalParameters).toBe(4);
  });

  it("finds sizes and operations by the example input, layer by layer", () => {
    const module = new Net(torch.zeros([10, 256]));
    const summary = summarize(module, { maxDepth: -1 });
    expect(summary.layers.map(({ name, inSize, outSize, flops }) => [name, inSize, outSize, flops])).toEqual([
      ["net", [10, 256], [10, 512], 2_621_440],
      ["net.0", [10, 256], [10, 512], 2_621_440],
      ["net.1", [10, 512], [10, 512], 0],
      ["unused", "?", "?", 0],
    ]);
    expect(summary.totalFlops).toBe(2_621_440);
    expect(String(summary)).toContain(
      "0 | net    | Sequential  | 132 K  | train | 2.6 M | [10, 256] | [10, 512]",
    );
    expect([module.training, module.net.training, module.unused.training]).toEqual([true, true, false]);
  });

  it("lists several inputs, and as deep as it is told", () => {
    class Two extends Net {
      override forward(x: Tensor, y?: Tensor): Tensor {
        return this.net.forward(x.add(y!));
      }
    }
    const summary = summarize(new Two([torch.zeros([2, 256]), torch.zeros([2, 256])]), { maxDepth: 2 });
    expect(summary.layers.map((layer) => layer.name)).toEqual(["net", "net.0", "net.1", "unused"]);
    expect(summarize(new Net(), { maxDepth: 0 }).layers).toEqual([]);
    expect(() => summarize(new Net(), { maxDepth: -2 })).toThrow(/maxDepth can be -1, 0 or > 0, got -2/);
  });
});

describe("ModelSummary", () => {
  it("shows the summary when a fit begins", async () => {
    const shown: Summary[] = [];
    class Kept extends ModelSummary {
      protected override show(summary: Summary) {
        shown.push(summary);
      }
    }
    const fit = (callback: ModelSummary) =>
      new Trainer({
        accelerator: "cpu",
        maxEpochs: 1,
        logger: false,
        callbacks: callback,
        enableCheckpointing: false,
        enableProgressBar: false,
      }).fit(new Net(), { trainDataloaders: new Set([torch.zeros([2, 256])]) });
    await fit(new Kept());
    await fit(new Kept({ maxDepth: 0 }));
    expect(shown.map((summary) => summary.totalParameters)).toEqual([2_134_611]);
  });
});
