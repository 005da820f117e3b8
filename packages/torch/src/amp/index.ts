export { type AutocastOptions, autocast, isAutocastEnabled, setAutocast } from "./autocast.js";
export { type CustomFwdOptions, customBwd, customFwd } from "./custom.js";
export { GradScaler, type GradScalerOptions, type GradScalerStateDict, type Outputs } from "./grad-scaler.js";
export {
  clearAutocastCache,
  getAutocastDtype,
  isAutocastAvailable,
  isAutocastCacheEnabled,
  setAutocastCacheEnabled,
  setAutocastDtype,
  setAutocastEnabled,
} from "./state.js";
