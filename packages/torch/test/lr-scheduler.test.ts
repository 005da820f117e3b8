import { amp, nn, optim, type Tensor, tensor } from "@levin/torch";
import { afterEach, describe, expect, it, vi } from "vitest";

const { lrScheduler } = optim;

const sgd = (options: optim.SGDOptions = {}, groups = 1) =>
  new optim.SGD(
    Array.from({ length: groups }, () => ({ params: [new nn.Parameter(tensor([1]))] })),
    { lr: 0.1, ...options },
  );

/** The learning rates of the first group over some epochs. */
function ratesOf(optimizer: optim.Optimizer, scheduler: { step(): void }, epochs: number): number[] {
  const rates: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    rates.push(Number(Number(optimizer.paramGroups[0]?.lr).toPrecision(6)));
    optimizer.step();
    scheduler.step();
  }
  return rates;
}

afterEach(() => vi.restoreAllMocks());

describe("a learning rate scheduler", () => {
  it("falls in steps", () => {
    const optimizer = sgd();
    expect(ratesOf(optimizer, new lrScheduler.StepLR(optimizer, 2), 5)).toEqual([
      0.1, 0.1, 0.01, 0.01, 0.001,
    ]);
  });

  it("falls at milestones, twice where one is given twice", () => {
    const optimizer = sgd();
    const scheduler = new lrScheduler.MultiStepLR(optimizer, [1, 3, 3], { gamma: 0.5 });
    expect(ratesOf(optimizer, scheduler, 5)).toEqual([0.1, 0.05, 0.05, 0.0125, 0.0125]);
  });

  it("follows a function of the epoch for each group", () => {
    const optimizer = sgd({}, 2);
    const lrLambda = [(epoch: number) => 1 / (epoch + 1), () => 2];
    const scheduler = new lrScheduler.LambdaLR(optimizer, lrLambda);
    scheduler.step();
    expect(optimizer.paramGroups.map((group) => group.lr)).toEqual([0.05, 0.2]);
    expect(scheduler.getLastLr()).toEqual([0.05, 0.2]);
  });

  it("sets the first learning rate when it is made", () => {
    const optimizer = sgd();
    new lrScheduler.LinearLR(optimizer, { startFactor: 0.5 });
    expect(optimizer.paramGroups[0]).toMatchObject({ lr: 0.05, initialLr: 0.1 });
  });

  it("fills a learning rate that is a tensor, so that whoever holds it sees it", () => {
    const lr = tensor(0.5);
    const optimizer = sgd({ lr });
    new lrScheduler.ExponentialLR(optimizer, 0.5).step();
    expect(lr.item()).toBe(0.25);
    expect(optimizer.paramGroups[0]?.lr).toBe(lr);
  });

  it("of one's own only tells the learning rates", () => {
    class HalvingLR extends lrScheduler.LRScheduler {
      constructor(optimizer: optim.Optimizer) {
        super(optimizer);
        this.initialStep();
      }
      protected override getLr(): number[] {
        return this.baseLrs.map((lr) => lr * 0.5 ** this.lastEpoch);
      }
    }
    const optimizer = sgd();
    expect(ratesOf(optimizer, new HalvingLR(optimizer), 3)).toEqual([0.1, 0.05, 0.025]);
  });

  it("moves the momentum against the learning rate in one cycle", () => {
    const optimizer = new optim.Adam([new nn.Parameter(tensor([1]))]);
    const scheduler = new lrScheduler.OneCycleLR(optimizer, 1, { totalSteps: 10 });
    expect(optimizer.paramGroups[0]?.betas).toEqual([0.95, 0.999]);
    optimizer.step();
    scheduler.step();
    scheduler.step();
    expect(optimizer.paramGroups[0]?.lr).toBe(1);
    expect(optimizer.paramGroups[0]?.betas[0]).toBeCloseTo(0.85);
  });

  it("warns where it is stepped before the optimizer", () => {
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    new lrScheduler.StepLR(sgd(), 1).step();
    expect(warning.mock.calls[0]?.[0]).toContain("scheduler.step() was called before optimizer.step()");
  });
});

describe("schedulers together", () => {
  it("run one after another", () => {
    const optimizer = sgd();
    const schedulers = [
      new lrScheduler.ConstantLR(optimizer, { factor: 0.5, totalIters: 100 }),
      new lrScheduler.ExponentialLR(optimizer, 0.1),
    ];
    const scheduler = new lrScheduler.SequentialLR(optimizer, schedulers, [2]);
    expect(ratesOf(optimizer, scheduler, 5)).toEqual([0.05, 0.05, 0.1, 0.01, 0.001]);
  });

  it("multiply their factors", () => {
    const optimizer = sgd();
    const schedulers = [
      new lrScheduler.ConstantLR(optimizer, { factor: 0.5, totalIters: 2 }),
      new lrScheduler.ExponentialLR(optimizer, 0.1),
    ];
    expect(ratesOf(optimizer, new lrScheduler.ChainedScheduler(schedulers), 4)).toEqual([
      0.05, 0.005, 0.001, 0.0001,
    ]);
  });
});

describe("ReduceLROnPlateau", () => {
  it("lowers the learning rate when the metric has not improved for as long as its patience", () => {
    const optimizer = sgd();
    const scheduler = new lrScheduler.ReduceLROnPlateau(optimizer, { patience: 1, factor: 0.5 });
    const rates = [3, 2, 2, 2, tensor(1), 5].map((metric) => {
      scheduler.step(metric as number | Tensor);
      return optimizer.paramGroups[0]?.lr;
    });
    expect(rates).toEqual([0.1, 0.1, 0.1, 0.05, 0.05, 0.05]);
  });

  it("needs the metric", () => {
    const scheduler = new lrScheduler.ReduceLROnPlateau(sgd());
    expect(() => scheduler.step(undefined as never)).toThrow("needs the metric");
  });
});

describe("a scheduler's state", () => {
  it("has PyTorch's names", () => {
    const scheduler = new lrScheduler.CosineAnnealingLR(sgd(), 10);
    expect(scheduler.stateDict()).toEqual({
      T_max: 10,
      eta_min: 0,
      base_lrs: [0.1],
      last_epoch: 0,
      _step_count: 1,
      _is_initial: false,
      _get_lr_called_within_step: false,
      _last_lr: [0.1],
    });
  });

  it.each<[string, (optimizer: optim.Optimizer) => optim.lrScheduler.SchedulerBase]>([
    ["StepLR", (o) => new lrScheduler.StepLR(o, 3)],
    ["MultiStepLR", (o) => new lrScheduler.MultiStepLR(o, [2, 6])],
    ["OneCycleLR", (o) => new lrScheduler.OneCycleLR(o, 1, { totalSteps: 10, cycleMomentum: false })],
    ["CyclicLR", (o) => new lrScheduler.CyclicLR(o, 0.1, 1, { stepSizeUp: 3, cycleMomentum: false })],
    ["CosineAnnealingWarmRestarts", (o) => new lrScheduler.CosineAnnealingWarmRestarts(o, 3, { TMult: 2 })],
    [
      "SequentialLR",
      (o) =>
        new lrScheduler.SequentialLR(
          o,
          [new lrScheduler.LinearLR(o), new lrScheduler.ExponentialLR(o, 0.9)],
          [3],
        ),
    ],
  ])("lets a schedule go on: %s", (_, make) => {
    const whole = sgd();
    const wanted = ratesOf(whole, make(whole), 9);
    const first = sgd();
    const scheduler = make(first);
    const rates = ratesOf(first, scheduler, 4);
    const second = sgd();
    const other = make(second);
    other.loadStateDict(structuredClone(scheduler.stateDict()));
    second.loadStateDict(first.stateDict());
    expect([...rates, ...ratesOf(second, other, 5)]).toEqual(wanted);
  });
});

describe("a scheduler refuses", () => {
  it.each<[string, () => unknown, RegExp]>([
    ["anything but an optimizer", () => new lrScheduler.StepLR({} as never, 1), /\{\} is not an Optimizer/],
    [
      "to be without an option that has no default",
      () => new lrScheduler.StepLR(sgd(), undefined as never),
      /needs stepSize/,
    ],
    [
      "a list of the wrong length",
      () => new lrScheduler.LambdaLR(sgd(), []),
      /Expected 1 lrLambdas, but got 0/,
    ],
    ["a factor above 1", () => new lrScheduler.ConstantLR(sgd(), { factor: 2 }), /between 0 and 1/],
    ["a cycle without length", () => new lrScheduler.OneCycleLR(sgd(), 1), /either totalSteps OR/],
    [
      "to cycle a momentum that is not there",
      () =>
        new lrScheduler.OneCycleLR(new optim.Adagrad([new nn.Parameter(tensor([1]))]) as never, 1, {
          totalSteps: 9,
        }),
      /must support momentum or beta1/,
    ],
    [
      "to go on without initial learning rates",
      () => new lrScheduler.StepLR(sgd(), 1, { lastEpoch: 3 }),
      /'initialLr' is not specified/,
    ],
    [
      "schedulers of another optimizer",
      () => new lrScheduler.SequentialLR(sgd(), [new lrScheduler.LinearLR(sgd())], []),
      /belong to the same optimizer/,
    ],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
  });
});

describe("weight averaging", () => {
  const { swaUtils } = optim;

  it("gives the mean of the weights, or an exponential one", () => {
    const net = new nn.Linear(1, 1, { bias: false });
    const mean = new swaUtils.AveragedModel(net);
    const ema = new swaUtils.AveragedModel(net, { multiAvgFn: swaUtils.getEmaMultiAvgFn(0.75) });
    for (const weight of [0, 4, 8]) {
      net.weight.data = tensor([[weight]]);
      mean.updateParameters(net);
      ema.updateParameters(net);
    }
    expect([mean, ema].map((model) => model.module.weight.item())).toEqual([4, 2.75]);
    expect(Object.keys(mean.stateDict())).toEqual(["n_averaged", "module.weight"]);
    expect(mean.nAveraged.item()).toBe(3);
  });

  it("computes the statistics of batch normalisation anew", async () => {
    const net = new nn.BatchNorm1d(1);
    net.eval();
    await swaUtils.updateBn([tensor([[0], [2]]), [tensor([[4], [6]]), "labels"]], net);
    expect([net.runningMean?.item(), net.runningVar?.item(), net.momentum, net.training]).toEqual([
      3,
      2,
      0.1,
      false,
    ]);
  });

  it("brings the learning rate to its end", () => {
    const optimizer = sgd();
    const scheduler = new swaUtils.SWALR(optimizer, 0.02, {
      annealEpochs: 2,
      annealStrategy: "linear",
    });
    expect(ratesOf(optimizer, scheduler, 4)).toEqual([0.1, 0.06, 0.02, 0.02]);
  });
});

describe("a scheduler with a GradScaler", () => {
  it("does not warn, once the optimizer has taken a step", () => {
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const optimizer = sgd();
    const scheduler = new lrScheduler.StepLR(optimizer, 1);
    const scaler = new amp.GradScaler({ device: "cpu" });
    const params = optimizer.paramGroups.flatMap((group) => group.params);
    for (const param of params) scaler.scale(param.sum() as Tensor).backward();
    scaler.step(optimizer);
    scaler.update();
    scheduler.step();
    expect(warning).not.toHaveBeenCalled();
  });
});
