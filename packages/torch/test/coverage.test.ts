import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("docs/coverage.md is fresh, and every public name of PyTorch is there or left out with a reason", () => {
  const script = fileURLToPath(new URL("../scripts/coverage.mjs", import.meta.url));
  expect(execFileSync(process.execPath, [script, "--check"], { encoding: "utf8" })).toBe("complete\n");
});
