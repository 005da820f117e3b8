import type { nn, Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { mapTensors } from "../tree.js";
import { type Precision, type PrecisionName, plainOptimizerStep } from "./precision.js";

type TruePrecisionName = Exclude<PrecisionName, "16-mixed" | "bf16-mixed">;

const dtypes = {
  "32-true": null,
  "64-true": "float64",
  "16-true": "float16",
  "bf16-true": "bfloat16",
} as const;

/** One type for everything: parameters, inputs, and tensors made in steps. `"32-true"` leaves all as it is. */
export class TruePrecision implements Precision {
  readonly enterForward: (() => () => void) | null;
  readonly enterInit: (() => () => void) | null;
  readonly stateKey = "Precision";
  readonly scaler = null;
  readonly #dtype: "float64" | "float16" | "bfloat16" | null;

  constructor(readonly name: TruePrecisionName) {
    const dtype = dtypes[name];
    this.#dtype = dtype;
    this.enterForward = dtype && (() => enterDefaultDtype(dtype));
    this.enterInit = this.enterForward;
  }

  convertModule(module: nn.Module): void {
    if (this.#dtype) module.to({ dtype: this.#dtype });
  }

  convertInput(batch: unknown): unknown {
    const dtype = this.#dtype;
    if (!dtype) return batch;
    return mapTensors(batch, (tensor) => (tensor.isFloatingPoint() ? tensor.to(dtype) : tensor));
  }

  scaleLoss(loss: Tensor): Tensor {
    return loss;
  }

  readonly optimizerStep = plainOptimizerStep;

  checkClipping(): void {}

  stateDict(): null {
    return null;
  }

  loadStateDict(): void {}
}

/** float64 for everything: Lightning's name of `new TruePrecision("64-true")`. */
export class DoublePrecision extends TruePrecision {
  constructor() {
    super("64-true");
  }
}

/** 16 bits for everything: Lightning's name of `new TruePrecision("16-true")`. */
export class HalfPrecision extends TruePrecision {
  constructor(precision: "16-true" | "bf16-true" = "16-true") {
    super(precision);
  }
}

function enterDefaultDtype(dtype: "float64" | "float16" | "bfloat16"): () => void {
  const before = torch.getDefaultDtype();
  torch.setDefaultDtype(dtype);
  return () => torch.setDefaultDtype(before);
}
