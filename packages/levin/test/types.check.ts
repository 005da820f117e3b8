// What the compiler accepts and refuses. Checked by `npm run typecheck`, never run.

import type { data, Tensor } from "@levin/torch";
import { nn, optim } from "@levin/torch";
import {
  Callback,
  CSVLogger,
  EarlyStopping,
  LambdaCallback,
  LightningDataModule,
  LightningModule,
  type LightningOptimizer,
  ModelCheckpoint,
  type Scheduler,
  Trainer,
  Tuner,
} from "levin";

/** Compiles only where the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_T extends true>(): void => {};

type Batch = [x: Tensor, y: Tensor];
declare const loader: data.DataLoader<Batch>;

class Net extends LightningModule<Batch> {
  override automaticOptimization = false;
  readonly layer = new nn.Linear(1, 1);

  override trainingStep([x]: Batch): Tensor {
    const one = this.optimizers();
    const [first, second] = this.optimizers<2>();
    const bare = this.optimizers<number>({ useLightningOptimizer: false });
    is<Same<typeof one, LightningOptimizer>>();
    is<Same<[typeof first, typeof second], [LightningOptimizer, LightningOptimizer]>>();
    is<Same<typeof bare, optim.Optimizer[]>>();
    const [scheduler] = this.lrSchedulers<2>();
    is<Same<typeof scheduler, Scheduler>>();
    // @ts-expect-error there is no third one
    this.optimizers<2>()[2].step();
    this.log("loss", x.sum(), { progBar: true, reduceFx: "max" });
    // @ts-expect-error there is no such option
    this.log("loss", x, { progbar: true });
    // @ts-expect-error text is no value
    this.log("loss", "1");
    return x;
  }

  override configureOptimizers() {
    const both = [optim.SGD, optim.SGD].map((Optimizer) => new Optimizer(this.parameters(), { lr: 1 }));
    return [both, both.map((optimizer) => new optim.lrScheduler.StepLR(optimizer, 1))];
  }

  override trainDataloader() {
    return { a: loader, b: [loader, [[1, 2]]] };
  }
}

export class WrongHooks extends LightningModule<Batch> {
  // @ts-expect-error there is no such hook
  override trainStep(): void {}
  // @ts-expect-error a batch has another type
  override validationStep(batch: { image: Tensor }): void {
    batch.image.sum();
  }
  // @ts-expect-error a step does not return text
  override trainingStep(): string {
    return "";
  }
  // @ts-expect-error what runs inside the optimizer step is synchronous
  override async onAfterBackward() {}
  // @ts-expect-error optimizers are objects
  override configureOptimizers() {
    return "adam";
  }
  // @ts-expect-error a number is no loader
  override trainDataloader() {
    return 3;
  }
}

export class WrongCallback extends Callback {
  // @ts-expect-error there is no such hook
  override onTrainBatchEnds() {}
  // @ts-expect-error the trainer comes first
  override onTrainStart(module: LightningModule) {
    module.log("x", 1);
  }
  // @ts-expect-error what runs inside the optimizer step is synchronous
  override async onBeforeBackward() {}
}

export class WrongData extends LightningDataModule<Batch> {
  // @ts-expect-error names are in camelCase
  override train_dataloader() {}
  // @ts-expect-error there is no such stage
  override setup(stage: "training") {
    return void stage;
  }
}

export function options(): void {
  new Trainer({ maxEpochs: 1, maxTime: { hours: 1 }, callbacks: [new EarlyStopping("loss")] });
  // @ts-expect-error names are in camelCase
  new Trainer({ max_epochs: 1 });
  // @ts-expect-error a number is not text
  new Trainer({ maxEpochs: "1" });
  // @ts-expect-error there is no such precision
  new Trainer({ precision: "fp16" });
  // @ts-expect-error a class is no callback
  new Trainer({ callbacks: [EarlyStopping] });
  // @ts-expect-error there is no such unit
  new Trainer({ maxTime: { hour: 1 } });
  // @ts-expect-error what is monitored is an argument
  new EarlyStopping();
  // @ts-expect-error there is no such option
  new EarlyStopping("loss", { patients: 3 });
  // @ts-expect-error options are one object
  new ModelCheckpoint("folder");
  // @ts-expect-error there is no such hook
  new LambdaCallback({ onTrainStarts: () => {} });
  // @ts-expect-error a logger needs its folder
  new CSVLogger();
}

export async function calls(trainer: Trainer, net: Net): Promise<void> {
  await trainer.fit(net);
  await trainer.fit(net, { trainDataloaders: [loader, { a: loader }], valDataloaders: null });
  await trainer.fit(net, new LightningDataModule<Batch>());
  // @ts-expect-error loaders go by name
  await trainer.fit(net, loader);
  // @ts-expect-error loaders have another name
  await trainer.fit(net, { trainDataloader: loader });
  // @ts-expect-error a number is no loader
  await trainer.fit(net, { trainDataloaders: 3 });
  // @ts-expect-error a loader is no data module
  await trainer.fit(net, { datamodule: loader });
  // @ts-expect-error the module comes first
  await trainer.validate({ dataloaders: loader });
  // @ts-expect-error a class is no module
  await trainer.fit(Net);
  // @ts-expect-error there is no such option
  await trainer.test(net, { ckpt: "best" });
  // @ts-expect-error a tuner has a trainer
  new Tuner(net);
}
