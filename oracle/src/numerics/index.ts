import type { Report } from "../report.js";
import { autocast } from "./autocast.js";
import { checkpoints } from "./checkpoints.js";
import { dataOrder } from "./data-order.js";
import { functions } from "./functions.js";
import { gradScaler } from "./grad-scaler.js";
import { layers } from "./layers.js";
import { losses } from "./losses.js";
import { random } from "./random.js";
import { schedulers } from "./schedulers.js";
import { train } from "./train.js";

const GROUPS = [
  layers,
  functions,
  losses,
  schedulers,
  train,
  autocast,
  gradScaler,
  random,
  dataOrder,
  checkpoints,
];

/** Runs every group of numeric cases that a folder has. */
export async function numerics(folder: string, report: Report): Promise<void> {
  for (const group of GROUPS) await group(folder, report);
}
