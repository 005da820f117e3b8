/** A value at a step. */
export interface MlflowMetric {
  key: string;
  value: number;
  /** In milliseconds since 1970. */
  timestamp: number;
  step: number;
}

/** A parameter or a tag. */
export interface MlflowEntry {
  key: string;
  value: string;
}

/** What is logged to a run together. */
export interface MlflowBatch {
  metrics?: readonly MlflowMetric[];
  params?: readonly MlflowEntry[];
  tags?: readonly MlflowEntry[];
}

/** How a run is going. */
export type MlflowRunStatus = "RUNNING" | "SCHEDULED" | "FINISHED" | "FAILED" | "KILLED";

/** What a new run is given. */
export interface MlflowNewRun {
  runName?: string;
  userId: string;
  /** In milliseconds since 1970. */
  startTime: number;
  tags: readonly MlflowEntry[];
}

/** An experiment, with the names of MLflow's REST API. */
export interface MlflowExperiment {
  experiment_id: string;
  name: string;
  artifact_location: string;
  lifecycle_stage: string;
}

/** A run, with the names of MLflow's REST API. */
export interface MlflowRunInfo {
  run_id: string;
  run_name: string;
  experiment_id: string;
  status: MlflowRunStatus;
  artifact_uri: string;
}

/** Where runs are kept: on a tracking server, or in files. */
export interface MlflowStore {
  getExperimentByName(name: string): MlflowExperiment | null;
  createExperiment(name: string, artifactLocation: string | null): string;
  createRun(experimentId: string, run: MlflowNewRun): MlflowRunInfo;
  getRun(runId: string): MlflowRunInfo;
  /** @param synchronous waits until it is logged, and throws where it isn't */
  logBatch(runId: string, batch: MlflowBatch, synchronous: boolean): void;
  updateRun(runId: string, status: MlflowRunStatus, endTime: number): void;
  /** @param path where among the run's artifacts it goes */
  logArtifact(runId: string, file: number, path: string): void;
  /** Waits until all is stored. */
  settle(): Promise<void>;
}
