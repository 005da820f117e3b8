import { MisconfigurationError } from "../errors.js";

/** The arguments of {@link SLURMEnvironment}. */
export interface SLURMEnvironmentOptions {
  /** Whether the job is queued again, with a checkpoint to go on from, when SLURM says that its time is over. Default: true. */
  autoRequeue?: boolean;
  /** The signal by which SLURM says so (`#SBATCH --signal=SIGUSR1@90`). Default: "SIGUSR1". */
  requeueSignal?: NodeJS.Signals;
}

/**
 * A job of the cluster manager SLURM. It is found by itself; give it as a plugin to change its options.
 *
 * ```ts
 * const trainer = new Trainer({ plugins: new SLURMEnvironment({ autoRequeue: false }) });
 * ```
 */
export class SLURMEnvironment {
  readonly autoRequeue: boolean;
  readonly requeueSignal: NodeJS.Signals;

  /** @throws MisconfigurationError where the job was started with `--ntasks` instead of `--ntasks-per-node` */
  constructor(options: SLURMEnvironmentOptions = {}) {
    this.autoRequeue = options.autoRequeue ?? true;
    this.requeueSignal = options.requeueSignal ?? "SIGUSR1";
    const tasks = Number(process.env.SLURM_NTASKS ?? 1);
    if (tasks > 1 && process.env.SLURM_NTASKS_PER_NODE === undefined) {
      throw new MisconfigurationError(
        `The SLURM job was started with --ntasks=${tasks}: use --ntasks-per-node=${tasks} instead.`,
      );
    }
  }

  /** Whether this process is a job of SLURM, and no interactive one. */
  static detect(): boolean {
    return process.env.SLURM_NTASKS !== undefined && !isInteractive();
  }

  /** The name of the job, where there is one. */
  static jobName(): string | null {
    return process.env.SLURM_JOB_NAME ?? null;
  }

  /** The number of the job, where there is one that is not interactive. */
  static jobId(): number | null {
    const id = Number.parseInt(process.env.SLURM_JOB_ID ?? "", 10);
    return isInteractive() || Number.isNaN(id) ? null : id;
  }

  /** Checks that the job was started with as many tasks as there are devices. */
  validateSettings(numDevices: number, numNodes: number): void {
    if (isInteractive()) return;
    const { SLURM_NTASKS_PER_NODE: tasks, SLURM_NNODES: nodes } = process.env;
    if (tasks !== undefined && Number(tasks) !== numDevices) {
      throw new MisconfigurationError(
        `Trainer({ devices }) asks for ${numDevices} device(s) on each node, but the SLURM job was started with --ntasks-per-node=${tasks}: ` +
          "the two must be the same.",
      );
    }
    if (nodes !== undefined && Number(nodes) !== numNodes) {
      throw new MisconfigurationError(
        `Trainer({ numNodes: ${numNodes} }), but the SLURM job was started with --nodes=${nodes}: the two must be the same.`,
      );
    }
  }
}

function isInteractive(): boolean {
  return ["bash", "interactive"].includes(process.env.SLURM_JOB_NAME ?? "");
}
