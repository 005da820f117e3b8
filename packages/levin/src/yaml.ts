import { onDemand } from "./on-demand.js";

/** The YAML library. */
export const yaml = onDemand<typeof import("yaml")>("yaml");
