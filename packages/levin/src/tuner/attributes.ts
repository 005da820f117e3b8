import type { LightningModule } from "../module.js";

type Holder = Record<string, unknown>;

/** Who has an attribute: the module, its hyperparameters, the data module, its hyperparameters. */
function holdersOf(module: LightningModule, name: string): Holder[] {
  const datamodule = module.hasTrainer ? module.trainer.datamodule : null;
  const candidates = [module, module.hparams, datamodule, datamodule?.hparams] as (
    | Holder
    | null
    | undefined
  )[];
  return candidates.filter((candidate) => candidate && name in candidate) as Holder[];
}

/** Whether a module, its data module or their hyperparameters have an attribute. */
export function hasAttribute(module: LightningModule, name: string): boolean {
  return holdersOf(module, name).length > 0;
}

/** The attribute of the last of them that has it. */
export function getAttribute(module: LightningModule, name: string): unknown {
  return holdersOf(module, name).at(-1)?.[name];
}

/** Sets the attribute of all of them that have it. */
export function setAttribute(module: LightningModule, name: string, value: unknown): void {
  for (const holder of holdersOf(module, name)) holder[name] = value;
}
