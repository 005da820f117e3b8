import { optim } from "@levin/torch";
import { checkNumbers } from "../argument-checks.js";
import { type AveragingMoment, WeightAveraging, type WeightAveragingOptions } from "./weight-averaging.js";

/** Options of {@link EMAWeightAveraging}. */
export interface EMAWeightAveragingOptions extends Pick<WeightAveragingOptions, "device" | "useBuffers"> {
  /** How much of the old average stays at each update. Default: 0.999. */
  decay?: number;
  /** After how many optimizer steps the averages are updated. Default: 1. */
  updateEveryNSteps?: number;
  /** The index of the optimizer step from which they are. Default: the first. */
  updateStartingAtStep?: number | null;
  /** The index of the epoch from which they are also updated at the end of epochs. Default: never. */
  updateStartingAtEpoch?: number | null;
}

/** {@link WeightAveraging} with an exponential moving average. */
export class EMAWeightAveraging extends WeightAveraging {
  updateEveryNSteps: number;
  updateStartingAtStep: number | null;
  updateStartingAtEpoch: number | null;

  constructor(options: EMAWeightAveragingOptions = {}) {
    const { device = null, useBuffers = true, decay = 0.999 } = options;
    super({ device, useBuffers, avgFn: optim.swaUtils.getEmaAvgFn(decay) });
    const { updateEveryNSteps = 1, updateStartingAtStep = null, updateStartingAtEpoch = null } = options;
    checkNumbers("EMAWeightAveraging", {
      updateEveryNSteps,
      updateStartingAtStep: updateStartingAtStep ?? 0,
      updateStartingAtEpoch: updateStartingAtEpoch ?? 0,
    });
    this.updateEveryNSteps = updateEveryNSteps;
    this.updateStartingAtStep = updateStartingAtStep;
    this.updateStartingAtEpoch = updateStartingAtEpoch;
  }

  override shouldUpdate({ stepIdx = null, epochIdx = null }: AveragingMoment): boolean {
    const { updateEveryNSteps, updateStartingAtStep, updateStartingAtEpoch } = this;
    if (stepIdx !== null) {
      const hasBegun = updateStartingAtStep === null || stepIdx >= updateStartingAtStep;
      return hasBegun && updateEveryNSteps > 0 && stepIdx % updateEveryNSteps === 0;
    }
    return epochIdx !== null && updateStartingAtEpoch !== null && epochIdx >= updateStartingAtEpoch;
  }
}
