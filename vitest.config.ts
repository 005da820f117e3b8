import { defineConfig } from "vitest/config";

const interop = "**/test/interop/**/*.test.ts";

export default defineConfig({
  test: {
    pool: "forks", // each file in a process of its own: libtorch's settings are global to a process
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // The packages run as they are published, loaded by Node and not transformed.
    server: { deps: { external: [/\/(packages|oracle|benchmarks|examples)\/.*\/?dist\//] } },
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: [
            "{packages,examples}/*/test/**/*.test.ts",
            "{oracle,benchmarks}/test/**/*.test.ts",
            "scripts/test/**/*.test.ts",
          ],
          exclude: ["**/node_modules/**", interop],
        },
      },
      {
        extends: true,
        test: { name: "interop", include: [interop], testTimeout: 300_000, hookTimeout: 300_000 },
      },
    ],
  },
});
