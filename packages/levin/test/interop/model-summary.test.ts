import * as torch from "@levin/torch";
import { nn, type Tensor } from "@levin/torch";
import { LightningModule, setQuiet, summarize } from "levin";
import { expect, it } from "vitest";
import { runPython } from "./python.js";

// the modules of print_summaries.py

class Convolutions extends LightningModule {
  readonly features = new nn.Sequential(
    new nn.Conv2d(3, 16, 3, { padding: 1 }),
    new nn.BatchNorm2d(16),
    new nn.ReLU(),
    new nn.Conv2d(16, 32, 3, { stride: 2, groups: 4 }),
    new nn.ConvTranspose2d(32, 8, 2, { stride: 2 }),
  );
  readonly head = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(8, 1250));
  readonly scale = new nn.Parameter(torch.ones([1250]));

  constructor() {
    super();
    const [convolution, norm] = this.features.children();
    convolution!.requiresGrad_(false);
    norm!.eval();
    this.exampleInputArray = torch.zeros([2, 3, 32, 32]);
  }

  override forward(x: Tensor): Tensor {
    return (this.head.forward(this.features.forward(x)) as Tensor).mul(this.scale);
  }
}

class Pairs extends LightningModule {
  readonly shared = new nn.Linear(128, 1024);
  readonly lstm = new nn.LSTM(1024, 64);
  readonly unused = new nn.Linear(3, 3);

  constructor() {
    super();
    this.exampleInputArray = [torch.zeros([5, 2, 128]), torch.zeros([5, 2, 128])];
  }

  override forward(x: Tensor, y: Tensor): Tensor {
    const [out] = this.lstm.forward(this.shared.forward(x).add(this.shared.forward(y))) as [Tensor, unknown];
    return out.matmul(out.transpose(1, 2));
  }
}

class Attention extends LightningModule {
  readonly embedding = new nn.Embedding(1000, 32);
  readonly attention = new nn.MultiheadAttention(32, 4, { batchFirst: true });
  readonly norm = new nn.LayerNorm(32);

  constructor() {
    super();
    this.exampleInputArray = torch.zeros([2, 7], { dtype: "int64" });
  }

  override forward(tokens: Tensor): Tensor {
    const x = this.embedding.forward(tokens);
    const [attended] = this.attention.forward(x, x, x);
    return this.norm.forward(x.add(attended));
  }
}

class Empty extends LightningModule {}

it("summarizes modules in the words of Lightning", async () => {
  setQuiet(true);
  const expected = JSON.parse(await runPython("print_summaries.py")) as Record<string, string>;
  for (const make of [Convolutions, Pairs, Attention, Empty]) {
    for (const maxDepth of [0, 1, 2, -1]) {
      expect(String(summarize(new make(), { maxDepth }))).toBe(expected[`${make.name} ${maxDepth}`]);
    }
  }
});
