import { FunctionLR } from "./lambda-lr.js";
import { valuesOf } from "./scheduler-base.js";

/**
 * Multiplies the learning rate by a function of the epoch, each time.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiplicativeLR.html
 */
export class MultiplicativeLR extends FunctionLR {
  protected override getLr(): number[] {
    const rates = valuesOf(this.optimizer, "lr");
    if (this._isInitial) return rates;
    const factors = this.factors();
    return rates.map((rate, i) => rate * (factors[i] as number));
  }
}
