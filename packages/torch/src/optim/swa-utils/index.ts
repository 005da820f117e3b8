export { AveragedModel, type AveragedModelOptions } from "./averaged-model.js";
export {
  type AvgFn,
  getEmaAvgFn,
  getEmaMultiAvgFn,
  getSwaAvgFn,
  getSwaMultiAvgFn,
  type MultiAvgFn,
} from "./averaging.js";
export { SWALR, type SWALROptions } from "./swa-lr.js";
export { updateBn } from "./update-bn.js";
