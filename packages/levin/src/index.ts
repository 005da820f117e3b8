export type { EvaluateOptions, FitOptions, PredictOptions } from "./call-options.js";
export { Callback } from "./callback.js";
export { BackboneFinetuning, type BackboneFinetuningOptions } from "./callbacks/backbone-finetuning.js";
export { BaseFinetuning, type Modules, type UnfreezeOptions } from "./callbacks/base-finetuning.js";
export { BatchSizeFinder } from "./callbacks/batch-size-finder.js";
export { Checkpoint } from "./callbacks/checkpoint.js";
export { DeviceStatsMonitor } from "./callbacks/device-stats-monitor.js";
export {
  EarlyStopping,
  type EarlyStoppingOptions,
  type EarlyStoppingReason,
} from "./callbacks/early-stopping.js";
export { EMAWeightAveraging, type EMAWeightAveragingOptions } from "./callbacks/ema-weight-averaging.js";
export { GradientAccumulationScheduler } from "./callbacks/gradient-accumulation-scheduler.js";
export { HookTimeline, type HookTimelineOptions, type TimelineEvent } from "./callbacks/hook-timeline.js";
export { LambdaCallback, type LambdaHooks } from "./callbacks/lambda.js";
export { LearningRateFinder, type LearningRateFinderOptions } from "./callbacks/learning-rate-finder.js";
export { LearningRateMonitor, type LearningRateMonitorOptions } from "./callbacks/learning-rate-monitor.js";
export { ModelCheckpoint, type ModelCheckpointOptions } from "./callbacks/model-checkpoint.js";
export {
  ModelPruning,
  type ModelPruningOptions,
  type ParameterToPrune,
  type PruningFunctionName,
  type PruningMethod,
} from "./callbacks/model-pruning.js";
// Lightning's names of what it draws with a library of Python's
export { ModelSummary, ModelSummary as RichModelSummary } from "./callbacks/model-summary.js";
export { OnExceptionCheckpoint } from "./callbacks/on-exception-checkpoint.js";
export { BasePredictionWriter, type WriteInterval } from "./callbacks/prediction-writer.js";
export {
  ProgressBar,
  type ProgressMetrics,
  TQDMProgressBar,
  TQDMProgressBar as RichProgressBar,
  type TQDMProgressBarOptions,
} from "./callbacks/progress-bar.js";
export {
  SpikeDetection,
  type SpikeDetectionOptions,
  TrainingSpikeException,
} from "./callbacks/spike-detection.js";
export {
  StochasticWeightAveraging,
  type StochasticWeightAveragingOptions,
} from "./callbacks/stochastic-weight-averaging.js";
export { ThroughputMonitor, type ThroughputMonitorOptions } from "./callbacks/throughput-monitor.js";
export { type TimedStage, Timer, type TimerOptions } from "./callbacks/timer.js";
export {
  type AveragingMoment,
  WeightAveraging,
  type WeightAveragingOptions,
} from "./callbacks/weight-averaging.js";
export { AsyncCheckpointIO } from "./checkpoint/async-io.js";
export type { ExactState } from "./checkpoint/exact.js";
export { type FileEntry, type FileSystem, registerFileSystem } from "./checkpoint/file-system.js";
export {
  CheckpointIO,
  CheckpointNotFoundError,
  type LoadCheckpointOptions,
  type SaveCheckpointOptions,
  TorchCheckpointIO,
} from "./checkpoint/io.js";
export type { Checkpoint as CheckpointContent } from "./checkpoint/layout.js";
export type { LoadFromCheckpointOptions } from "./checkpoint/load.js";
export {
  type CombinedBatch,
  CombinedLoader,
  type CombinedLoaderMode,
  type Loader,
  type Loaders,
  type StatefulLoader,
} from "./combined-loader.js";
export { type Datasets, type FromDatasetsOptions, LightningDataModule } from "./data-module.js";
export type { Duration } from "./duration.js";
export { SLURMEnvironment, type SLURMEnvironmentOptions } from "./environments/slurm.js";
export { KeyboardInterrupt, LightningError, MisconfigurationError, SIGTERMException } from "./errors.js";
export { Explanation } from "./explain/explanation.js";
export type { FitSchedule, PlannedCheckpoint, PlannedEpoch } from "./explain/schedule.js";
export type {
  Awaitable,
  LogOptions,
  LogValue,
  ModuleHooks,
  ReduceFx,
  StepOutput,
  Synchronous,
  TrainerFunction,
} from "./hooks.js";
export type { SaveHyperparametersOptions } from "./hyperparameters.js";
export { ConsoleLogger, type ConsoleLoggerOptions } from "./loggers/console.js";
export { CSVLogger, type CSVLoggerOptions, ExperimentWriter } from "./loggers/csv.js";
export { JSONLLogger, type JSONLLoggerOptions } from "./loggers/jsonl.js";
export { Logger, type LoggerStatus, type Metrics } from "./loggers/logger.js";
export { MlflowClient } from "./loggers/mlflow/client.js";
export type {
  MlflowBatch,
  MlflowEntry,
  MlflowExperiment,
  MlflowMetric,
  MlflowRunInfo,
  MlflowRunStatus,
} from "./loggers/mlflow/store.js";
export { MLFlowLogger, type MLFlowLoggerOptions } from "./loggers/mlflow.js";
export type { AddEmbeddingOptions } from "./loggers/tensorboard/embedding.js";
export type { Histogram, HistogramBins } from "./loggers/tensorboard/histogram.js";
export type { HparamValue } from "./loggers/tensorboard/hparams.js";
export type { CustomScalarsChart, CustomScalarsLayout } from "./loggers/tensorboard/summary.js";
export {
  type AddAudioOptions,
  type AddHistogramOptions,
  type AddHparamsOptions,
  type AddImageOptions,
  type AddMeshOptions,
  type AddPrCurveOptions,
  type AddScalarOptions,
  type AddVideoOptions,
  SummaryWriter,
  type SummaryWriterOptions,
  type WalltimeOptions,
} from "./loggers/tensorboard/summary-writer.js";
export { TensorBoardLogger, type TensorBoardLoggerOptions } from "./loggers/tensorboard.js";
export type { Medium } from "./loggers/wandb/media.js";
export {
  type DefineMetricOptions,
  WandbRun,
  type WandbRunOptions,
  type WandbValues,
} from "./loggers/wandb/run.js";
export type { WatchOptions } from "./loggers/wandb/watch.js";
export {
  type LogMediaOptions,
  type LogTableOptions,
  WandbLogger,
  type WandbLoggerOptions,
} from "./loggers/wandb.js";
export { setQuiet } from "./messages.js";
export { LightningModule } from "./module.js";
export {
  LightningOptimizer,
  type OneOrSeveral,
  type OptimizerConfiguration,
  type OptimizerOptions,
  type Scheduler,
  type SchedulerConfig,
  type SchedulerOptions,
} from "./optimizers.js";
export type { Plugin } from "./plugins.js";
export { MixedPrecision, type MixedPrecisionOptions } from "./precision/mixed.js";
export type { OptimizerStepContext, Precision, PrecisionName } from "./precision/precision.js";
export { DoublePrecision, HalfPrecision, TruePrecision } from "./precision/true.js";
export { AdvancedProfiler, type AdvancedProfilerOptions } from "./profilers/advanced.js";
export { PyTorchProfiler, type PyTorchProfilerOptions } from "./profilers/engine.js";
export { PassThroughProfiler } from "./profilers/pass-through.js";
export { Profiler, type ProfilerOptions, type ProfilerSetup } from "./profilers/profiler.js";
export type { ProfilerName } from "./profilers/profilers.js";
export { SimpleProfiler, type SimpleProfilerOptions } from "./profilers/simple.js";
export type { RngState } from "./rng.js";
export { seedEverything } from "./seed.js";
export { SingleDeviceStrategy, type SingleDeviceStrategyOptions } from "./strategies/single-device.js";
export type { AllGatherOptions, Strategy } from "./strategies/strategy.js";
export { type LayerSummary, type SummarizeOptions, Summary, summarize } from "./summary.js";
export { measureFlops, Throughput, type ThroughputOptions, type ThroughputUpdate } from "./throughput.js";
export { type Stage, Trainer, type TrainerState } from "./trainer.js";
export type { TrainerOptions } from "./trainer-options.js";
export type { ScaleBatchSizeOptions } from "./tuner/batch-size.js";
export { LRFinder, type LRFinderMode, type LRFindOptions } from "./tuner/lr-finder.js";
export { type TuneData, Tuner } from "./tuner/tuner.js";
