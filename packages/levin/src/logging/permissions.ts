import { MisconfigurationError } from "../errors.js";

interface Permission {
  /** Whether values may be logged at the step; where not, only at the end of the epoch. */
  step: boolean;
  defaultOnStep: boolean;
}

const atSteps: Permission = { step: true, defaultOnStep: true };
const atEpochs: Permission = { step: true, defaultOnStep: false };
const onlyAtEpochs: Permission = { step: false, defaultOnStep: false };

/** The hooks in which `log` may be called, and what it does there by default. */
const permissions: Readonly<Record<string, Permission>> = {
  onBeforeBackward: atSteps,
  backward: atSteps,
  onAfterBackward: atSteps,
  onBeforeOptimizerStep: atSteps,
  optimizerStep: atSteps,
  configureGradientClipping: atSteps,
  clipGradients: atSteps,
  onBeforeZeroGrad: atSteps,
  optimizerZeroGrad: atSteps,
  trainingStep: atSteps,
  onTrainBatchStart: atSteps,
  onTrainBatchEnd: atSteps,
  validationStep: atEpochs,
  testStep: atEpochs,
  onValidationBatchStart: atEpochs,
  onValidationBatchEnd: atEpochs,
  onTestBatchStart: atEpochs,
  onTestBatchEnd: atEpochs,
  onTrainStart: onlyAtEpochs,
  onTrainEpochStart: onlyAtEpochs,
  onTrainEpochEnd: onlyAtEpochs,
  onValidationStart: onlyAtEpochs,
  onValidationEpochStart: onlyAtEpochs,
  onValidationEpochEnd: onlyAtEpochs,
  onTestStart: onlyAtEpochs,
  onTestEpochStart: onlyAtEpochs,
  onTestEpochEnd: onlyAtEpochs,
};

/** When a value that is logged in a hook is taken: checks what was asked for, and fills in the hook's defaults. */
export function loggingLevels(
  hook: string,
  onStep: boolean | undefined,
  onEpoch: boolean | undefined,
): { onStep: boolean; onEpoch: boolean } {
  const permission = permissions[hook];
  if (!permission) {
    throw new MisconfigurationError(
      `You can't \`this.log()\` inside \`${hook}\`. Log directly to the logger there: \`this.logger.logMetrics(...)\`.`,
    );
  }
  const step = onStep ?? permission.defaultOnStep;
  const epoch = onEpoch ?? !permission.defaultOnStep;
  if (!permission.step && (step || !epoch)) {
    const wrong = step ? "onStep: true" : "onEpoch: false";
    throw new MisconfigurationError(
      `You can't \`this.log(..., { ${wrong} })\` inside \`${hook}\`: it is called once per epoch, so that only onEpoch: true makes sense.`,
    );
  }
  if (!step && !epoch) {
    throw new MisconfigurationError(
      "`this.log(..., { onStep: false, onEpoch: false })` is not useful: set one of them to true.",
    );
  }
  return { onStep: step, onEpoch: epoch };
}
