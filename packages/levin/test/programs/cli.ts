// The classes of a program that is configured by levin's CLI: see ../lightning-cli.test.ts.
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import { Callback, LightningDataModule, LightningModule, Trainer } from "levin";

type Batch = [inputs: Tensor, targets: Tensor];

/** Turns numbers into other numbers. */
export class Encoder extends nn.Module {
  constructor(readonly width = 2) {
    super();
  }
}

export interface RegressorOptions {
  /** The learning rate. */
  lr?: number;
  activation?: "relu" | "tanh";
  /** The sizes of the layers. */
  layers: readonly number[];
  encoder?: Encoder | null;
  schedule?: { warmup: number; kind?: string };
  transform?: (inputs: Tensor) => Tensor;
}

/** A regression. */
export class Regressor extends LightningModule<Batch> {
  readonly net = new nn.Linear(2, 1);
  readonly given: RegressorOptions;

  constructor(options: RegressorOptions) {
    super();
    const { lr = 0.1, activation = "relu" } = options;
    this.given = { ...options, lr, activation };
    this.saveHyperparameters({ lr, layers: options.layers, other: "not an option" });
  }

  override trainingStep([inputs, targets]: Batch): Tensor {
    const loss = nn.functional.mseLoss(this.net.forward(inputs), targets);
    this.log("loss", loss);
    return loss;
  }

  override validationStep([inputs, targets]: Batch): void {
    this.log("val_loss", nn.functional.mseLoss(this.net.forward(inputs), targets));
  }

  override testStep(batch: Batch): void {
    this.validationStep(batch);
  }

  override predictStep([inputs]: Batch): Tensor {
    return this.net.forward(inputs);
  }
}

/** A regression that brings its optimizer. */
export class Complete extends Regressor {
  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: this.given.lr ?? 0.1 });
  }
}

/** Points on a plane. */
export class Points extends LightningDataModule<Batch> {
  readonly dims = 2;

  constructor(
    readonly batchSize = 4,
    readonly count = 8,
  ) {
    super();
  }

  override trainDataloader() {
    const generator = new torch.Generator().manualSeed(0);
    const inputs = torch.randn([this.count, 2], { generator });
    return new data.DataLoader(new data.TensorDataset(inputs, inputs.sum(1, { keepdim: true })), {
      batchSize: this.batchSize,
      shuffle: true,
    });
  }

  override valDataloader() {
    return this.trainDataloader();
  }

  override testDataloader() {
    return this.trainDataloader();
  }

  override predictDataloader() {
    return this.trainDataloader();
  }
}

/** Counts the batches. */
export class Counter extends Callback {
  batches = 0;

  constructor(readonly every: number) {
    super();
  }

  override onTrainBatchEnd(): void {
    this.batches++;
  }
}

/** A trainer that can do more. */
export class OwnTrainer extends Trainer {
  /** Fits a few times. */
  async fitOften(model: LightningModule, options: { times?: number; datamodule?: LightningDataModule } = {}) {
    for (let i = 0; i < (options.times ?? 2); i++) await this.fit(model, { datamodule: options.datamodule });
  }
}

export function makeRegressor({ lr = 1, size = 2 } = {}): Regressor {
  return new Complete({ lr, layers: [size] });
}
