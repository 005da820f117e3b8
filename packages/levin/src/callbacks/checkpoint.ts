import type { Tensor } from "@levin/torch";
import { Callback } from "../callback.js";

/** The base of callbacks that save checkpoints: they run after all others. */
export abstract class Checkpoint extends Callback {
  override get monitors(): boolean {
    return true;
  }

  /** The best file so far, or `""`. */
  bestModelPath = "";
  /** The monitored value of the best file. */
  bestModelScore: Tensor | null = null;
  /** The file written for `saveLast`, or `""`. */
  lastModelPath = "";
}
