import * as torch from "@levin/torch";
import { Trainer, type TrainerOptions } from "levin";
import { afterEach, describe, expect, it, vi } from "vitest";

const make = (options: TrainerOptions = {}) => new Trainer({ accelerator: "cpu", logger: false, ...options });

describe("a trainer's settings of libtorch", () => {
  afterEach(() => {
    torch.useDeterministicAlgorithms(false);
    torch.backends.cudnn.benchmark = false;
    vi.unstubAllEnvs();
  });

  it("stay as they are where they are not given", () => {
    torch.backends.cudnn.benchmark = true;
    torch.useDeterministicAlgorithms(true);
    make();
    expect(torch.backends.cudnn.benchmark).toBe(true);
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(true);
  });

  it("let cuDNN look for the fastest algorithms", () => {
    make({ benchmark: true });
    expect(torch.backends.cudnn.benchmark).toBe(true);
    make({ benchmark: false });
    expect(torch.backends.cudnn.benchmark).toBe(false);
  });

  it("keep it from that where runs are to be deterministic, and set up cuBLAS", () => {
    vi.stubEnv("CUBLAS_WORKSPACE_CONFIG", "");
    torch.backends.cudnn.benchmark = true;
    make({ deterministic: "warn" });
    expect(torch.backends.cudnn.benchmark).toBe(false);
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(true);
    expect(torch.isDeterministicAlgorithmsWarnOnlyEnabled()).toBe(true);
    expect(process.env.CUBLAS_WORKSPACE_CONFIG).toBe(":4096:8");
    make({ deterministic: false });
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(false);
  });

  it("are checked", () => {
    expect(() => make({ deterministic: "yes" as "warn" })).toThrow(
      /deterministic.*"yes".*true, false or "warn"/,
    );
    expect(() => {
      torch.backends.cudnn.benchmark = 1 as unknown as boolean;
    }).toThrow(/backends\.cudnn\.benchmark must be true or false/);
  });
});

describe("environment variables", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("stand for options that are not given", () => {
    vi.stubEnv("PL_TRAINER_MAX_EPOCHS", "3");
    vi.stubEnv("PL_TRAINER_CHECK_VAL_EVERY_N_EPOCH", "None");
    vi.stubEnv("PL_TRAINER_VAL_CHECK_INTERVAL", "7");
    vi.stubEnv("PL_TRAINER_PRECISION", "bf16-mixed");
    const trainer = make({ maxSteps: undefined });
    expect(trainer.maxEpochs).toBe(3);
    expect(trainer.checkValEveryNEpoch).toBe(null);
    expect(trainer.valCheckInterval).toEqual({ count: 7 });
    expect(trainer.precision).toBe("bf16-mixed");
    expect(make({ maxEpochs: 5 }).maxEpochs).toBe(5);
  });

  it("are checked as options are", () => {
    vi.stubEnv("PL_TRAINER_NUM_SANITY_VAL_STEPS", "many");
    expect(() => make()).toThrow(/numSanityValSteps/);
  });
});
