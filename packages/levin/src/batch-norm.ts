import { nn } from "@levin/torch";

/** A batch norm of any number of dimensions. */
export type AnyBatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d;

/** Whether a module is a batch norm. */
export function isBatchNorm(module: nn.Module): module is AnyBatchNorm {
  return (
    module instanceof nn.BatchNorm1d || module instanceof nn.BatchNorm2d || module instanceof nn.BatchNorm3d
  );
}
