import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("the names that the coverage table goes by are PyTorch's own", () => {
  const scripts = fileURLToPath(new URL("../../scripts/", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "levin-listing-"));
  try {
    const file = join(folder, "names.json");
    execFileSync(process.env.LEVIN_PYTHON ?? "python3", [join(scripts, "list-pytorch.py"), file], {
      stdio: "ignore",
    });
    expect(readFileSync(file, "utf8")).toBe(readFileSync(join(scripts, "pytorch.generated.json"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
