import * as torch from "@levin/torch";
import { ArgumentError, type Tensor } from "@levin/torch";
import { warn } from "../../messages.js";

/** The loudest sample. */
const LOUDEST = 32_767;

/** The samples of a sound of one channel with values from -1 to 1. */
export function samplesOf(sound: Tensor): Int16Array {
  return torch.noGrad(() => {
    let flat = sound.detach().to({ device: "cpu", dtype: "float32" }).squeeze();
    if (flat.shape.length > 1)
      throw new ArgumentError(
        `A sound has one channel: the shape (L) or (1, L), not [${sound.shape.join(", ")}].`,
      );
    if (flat.numel() === 0) throw new ArgumentError("The sound is empty.");
    if (flat.abs().max().item() > 1) {
      warn("A sound has values beyond -1 and 1, which are cut off.");
      flat = flat.clamp(-1, 1);
    }
    return flat.mul(LOUDEST).to("int16").toTypedArray() as Int16Array;
  });
}
