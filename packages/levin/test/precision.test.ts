import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { amp, nn, optim, type Tensor } from "@levin/torch";
import { DoublePrecision, HalfPrecision, LightningModule, MixedPrecision, setQuiet } from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => setQuiet(true));

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(2, 1);
  losses: Tensor[] = [];
  constructor(
    readonly makeOptimizer = (net: Net): optim.Optimizer => new optim.SGD(net.parameters(), { lr: 0.1 }),
  ) {
    super();
  }
  override trainingStep(batch: Tensor) {
    const loss = this.layer.forward(batch).pow(2).mean();
    this.losses.push(loss);
    return loss;
  }
  override configureOptimizers() {
    return this.makeOptimizer(this);
  }
}

const good = () => torch.ones([2, 2]);
const infinite = () => torch.full([2, 2], 1e30);

const mixed = (options: ConstructorParameters<typeof MixedPrecision>[2] = {}) =>
  new MixedPrecision("16-mixed", "cpu", options);

describe("16-mixed", () => {
  it("computes in float16 and leaves out a step with infinite gradients, which lowers the scale", async () => {
    const net = new Net();
    const plugin = mixed({ scaler: new amp.GradScaler({ device: "cpu", initScale: 1024 }) });
    const trainer = quietTrainer({ plugins: plugin });
    const before = net.layer.weight.detach().clone();
    await trainer.fit(net, { trainDataloaders: new Set([infinite()]) });
    expect(net.layer.weight.equal(before)).toBe(true);
    expect(trainer.scaler?.getScale()).toBe(512);
    await trainer.fit(net, { trainDataloaders: new Set([good()]) });
    expect(trainer.precision).toBe("16-mixed");
    expect(trainer.precisionPlugin).toBe(plugin);
  });

  it("takes a step whose gradients are those of the loss, not of the scaled loss", async () => {
    const [plain, scaled] = [new Net(), new Net()];
    plain.layer.loadStateDict({ weight: torch.tensor([[0.5, 0.25]]), bias: torch.tensor([0.5]) });
    scaled.layer.loadStateDict(plain.layer.stateDict());
    await quietTrainer({}).fit(plain, { trainDataloaders: new Set([good()]) });
    const plugins = mixed({ scaler: new amp.GradScaler({ device: "cpu", initScale: 128 }) });
    await quietTrainer({ plugins, gradientClipVal: 100 }).fit(scaled, {
      trainDataloaders: new Set([good()]),
    });
    expect(torch.allclose(scaled.layer.weight, plain.layer.weight, { rtol: 1e-3 })).toBe(true);
  });

  it("keeps the scaler's state in checkpoints under Lightning's key", async () => {
    const folder = mkdtempSync(join(tmpdir(), "levin-"));
    try {
      const scaler = () => new amp.GradScaler({ device: "cpu", initScale: 64, growthInterval: 1 });
      const trainer = quietTrainer({ plugins: mixed({ scaler: scaler() }) });
      await trainer.fit(new Net(), { trainDataloaders: new Set([good(), good()]) });
      const ckptPath = join(folder, "a.ckpt");
      trainer.saveCheckpoint(ckptPath);
      const saved = torch.load(ckptPath) as Record<string, { scale: number }>;
      expect(saved.MixedPrecision?.scale).toBe(256);
      const other = quietTrainer({ plugins: mixed({ scaler: scaler() }), maxEpochs: 2 });
      await other.fit(new Net(), { trainDataloaders: new Set([good(), good()]), ckptPath });
      expect(other.scaler?.getScale()).toBe(1024);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is bf16-mixed on CPUs, unless it is asked for as a plugin", () => {
    const trainer = quietTrainer({ precision: "16-mixed" });
    expect([trainer.precision, trainer.scaler]).toEqual(["bf16-mixed", null]);
  });

  it("refuses LBFGS", async () => {
    const net = new Net((self) => new optim.LBFGS(self.parameters()));
    const running = quietTrainer({ plugins: mixed() }).fit(net, { trainDataloaders: new Set([good()]) });
    await expect(running).rejects.toThrow(/LBFGS are not compatible/);
  });

  it("refuses to clip what a fused optimizer unscales", async () => {
    const net = new Net((self) => new optim.SGD(self.parameters(), { lr: 0.1, fused: true }));
    const running = quietTrainer({ plugins: mixed(), gradientClipVal: 1 }).fit(net, {
      trainDataloaders: new Set([good()]),
    });
    await expect(running).rejects.toThrow(/cannot be clipped/);
  });
});

describe("plugins", () => {
  it("are at most one of a kind, and not beside the option of the same meaning", () => {
    expect(() => quietTrainer({ plugins: [new HalfPrecision(), new DoublePrecision()] })).toThrow(
      /several plugins for precision/,
    );
    expect(() => quietTrainer({ plugins: new DoublePrecision(), precision: 32 })).toThrow(/together/);
    expect(() => quietTrainer({ plugins: {} as never })).toThrow(/was given Object/);
    expect(
      () => new MixedPrecision("bf16-mixed", "cpu", { scaler: new amp.GradScaler({ device: "cpu" }) }),
    ).toThrow(/uses none/);
  });

  it("convert the module and its inputs", async () => {
    const net = new Net();
    await quietTrainer({ plugins: new DoublePrecision() }).fit(net, { trainDataloaders: new Set([good()]) });
    expect([net.dtype, net.layer.weight.dtype, net.losses[0]?.dtype]).toEqual([
      "float64",
      "float64",
      "float64",
    ]);
  });
});
