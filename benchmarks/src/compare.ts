import Table from "cli-table3";
import { type Engine, enginesOf, type Measurement, median, PLAN, type Workload } from "./plan.js";
import { measureLevin, measureReference } from "./processes.js";
import { referencePython } from "./python.js";

/** Everything that `compare` measures when no workload is named. */
export const COMPARED = [...Object.keys(PLAN), "startup"] as (Workload | "startup")[];

/** The engines of the reference that do the same as one of levin's. */
const COUNTERPARTS: Record<Engine, string> = { levin: "lightning", torch: "torch" };

interface CompareOptions {
  workloads: (Workload | "startup")[];
  threads: number;
  rounds: number;
  /** Whether the reference's optimizers use PyTorch's fused kernels, as levin's do. */
  fused: boolean;
}

interface Runner {
  label: string;
  run: () => Measurement;
}

/** What a runner gave: its measurements, or the message where one failed. */
type Outcome = Measurement[] | string;

/** Alternates levin and the reference, one process per measurement, and prints a table of ratios of the medians. */
export async function compare({ workloads, threads, rounds, fused }: CompareOptions): Promise<void> {
  const python = await referencePython();
  const table = new Table({
    head: [
      "workload",
      "levin",
      "ms/step",
      "reference",
      "ms/step",
      "faster",
      "peak MB",
      "peak MB ref",
      "memory",
      "final loss",
    ],
    style: { head: [], border: [] },
  });
  for (const workload of workloads) {
    const results = measureInTurn(runnersOf(workload, python, threads, fused), rounds);
    for (const [ours, theirs] of Object.entries(COUNTERPARTS)) {
      const [a, b] = [results.get(`levin ${ours}`), results.get(`reference ${theirs}`)];
      if (a === undefined || b === undefined) continue;
      table.push(
        typeof a === "string" || typeof b === "string"
          ? failure(workload, ours, theirs, a, b)
          : row(workload, ours, theirs, a, b),
      );
    }
  }
  console.log(
    `${rounds} rounds, ${threads} thread${threads === 1 ? "" : "s"}; medians; "faster" and "memory" are reference / levin`,
  );
  console.log(table.toString());
}

function runnersOf(
  workload: Workload | "startup",
  python: string,
  threads: number,
  fused: boolean,
): Runner[] {
  return enginesOf(workload).flatMap((engine) => [
    { label: `levin ${engine}`, run: () => measureLevin(workload, engine, threads) },
    {
      label: `reference ${COUNTERPARTS[engine]}`,
      run: () => measureReference(python, workload, COUNTERPARTS[engine], threads, fused),
    },
  ]);
}

/** The measurements of every runner, taken in turn; the message instead where one fails. */
function measureInTurn(runners: Runner[], rounds: number): Map<string, Outcome> {
  const results = new Map<string, Outcome>();
  for (let round = 0; round < rounds; round++) {
    for (const { label, run } of runners) {
      const known = results.get(label) ?? [];
      if (typeof known === "string") continue;
      try {
        const measurement = run();
        console.error(JSON.stringify({ round, by: label, ...measurement }));
        results.set(label, [...known, measurement]);
      } catch (error) {
        console.error(`${label}: ${(error as Error).message}`);
        results.set(label, (error as Error).message.split("\n").at(-1) ?? "failed");
      }
    }
  }
  return results;
}

function row(workload: string, ours: string, theirs: string, a: Measurement[], b: Measurement[]): string[] {
  const middle = (list: Measurement[], key: "ms_per_step" | "peak_rss_mb") => median(list.map((m) => m[key]));
  const [time, reference] = [middle(a, "ms_per_step"), middle(b, "ms_per_step")];
  const [peak, peakReference] = [middle(a, "peak_rss_mb"), middle(b, "peak_rss_mb")];
  return [
    workload,
    ours,
    time.toPrecision(4),
    theirs,
    reference.toPrecision(4),
    `${(reference / time).toFixed(2)}x`,
    peak.toFixed(0),
    peakReference.toFixed(0),
    `${(peakReference / peak).toFixed(2)}x`,
    losses(a[0]?.final_loss ?? null, b[0]?.final_loss ?? null),
  ];
}

/** Whether two losses agree, to what rounding may carry them apart. */
function losses(ours: number | null, theirs: number | null): string {
  if (ours === null || theirs === null) return ours === theirs ? "-" : `${ours} / ${theirs}`;
  const apart = Math.abs(ours - theirs) / (Math.abs(theirs) + 1e-12);
  return apart === 0
    ? "same"
    : apart < 1e-3
      ? `same to ${apart.toExponential(0)}`
      : `DIFFERS: ${ours} / ${theirs}`;
}

function failure(workload: string, ours: string, theirs: string, a: Outcome, b: Outcome): string[] {
  const show = (side: Outcome) => (typeof side === "string" ? side.slice(0, 60) : "ok");
  return [workload, ours, show(a), theirs, show(b), "", "", "", "", ""];
}
