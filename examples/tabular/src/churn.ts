import * as torch from "@levin/torch";
import { metrics, nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch, Columns } from "./data.js";

export interface ChurnOptions {
  columns: Columns;
  /** Default: 64. */
  hiddenSize?: number;
  /** Default: 0.1. */
  dropout?: number;
  /** Default: 2e-3. */
  lr?: number;
}

/** Tells which customers are about to leave: categories are embedded, numbers standardized. */
export class Churn extends LightningModule<Batch> {
  readonly embeddings: nn.ModuleList<nn.Embedding>;
  readonly net: nn.Sequential;
  declare readonly mean: Tensor;
  declare readonly std: Tensor;
  readonly valAUROC = new metrics.AUROC("binary");
  readonly testMetrics = new metrics.MetricCollection({
    test_auroc: new metrics.AUROC("binary"),
    test_acc: new metrics.Accuracy("binary"),
  });
  readonly bestAUROC = new metrics.AUROC("binary");
  readonly #lr: number;

  constructor({ columns, hiddenSize = 64, dropout = 0.1, lr = 2e-3 }: ChurnOptions) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ columns, hiddenSize, dropout, lr });
    const categories = Object.values(columns.categories).map((values) => values.length);
    const numbers = Object.values(columns.numbers);
    const embeddingSize = 4;
    this.embeddings = new nn.ModuleList(categories.map((count) => new nn.Embedding(count, embeddingSize)));
    this.net = new nn.Sequential(
      new nn.Linear(embeddingSize * categories.length + numbers.length, hiddenSize),
      new nn.ReLU(),
      new nn.Dropout(dropout),
      new nn.Linear(hiddenSize, hiddenSize),
      new nn.ReLU(),
      new nn.Linear(hiddenSize, 1),
    );
    this.registerBuffer("mean", torch.tensor(numbers.map(({ mean }) => mean)));
    this.registerBuffer("std", torch.tensor(numbers.map(({ std }) => std)));
  }

  /** Logits (N) of leaving. */
  override forward(categories: Tensor, numbers: Tensor): Tensor {
    const embedded = this.embeddings.map((embedding, i) => embedding.forward(categories.select(1, i)));
    const standardized = numbers.sub(this.mean).div(this.std).nanToNum(0); // what isn't known counts as the mean
    return this.net.forward(torch.cat([...embedded, standardized], 1)).squeeze(1);
  }

  override trainingStep([categories, numbers, left]: Batch): Tensor {
    const loss = nn.functional.binaryCrossEntropyWithLogits(this.forward(categories, numbers), left);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override validationStep([categories, numbers, left]: Batch): void {
    const logits = this.forward(categories, numbers);
    this.log("val_loss", nn.functional.binaryCrossEntropyWithLogits(logits, left));
    this.valAUROC.update(logits.sigmoid(), left.long());
    this.log("val_auroc", this.valAUROC, { progBar: true });
  }

  override testStep([categories, numbers, left, chance]: Batch): void {
    this.testMetrics.update(this.forward(categories, numbers).sigmoid(), left.long());
    this.logDict(this.testMetrics);
    this.bestAUROC.update(chance, left.long());
    this.log("test_auroc_best", this.bestAUROC);
  }

  override configureOptimizers() {
    const optimizer = new optim.AdamW(this.parameters(), { lr: this.#lr, weightDecay: 1e-2 });
    const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizer, { factor: 0.3, patience: 1 });
    return { optimizer, lrScheduler: { scheduler, monitor: "val_loss" } };
  }
}
