import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";

/** The folder of the running test, where the file has called {@link useFolder}. */
export let folder = "";

/** Gives each test of a file a new, empty {@link folder}, which is removed after it. */
export function useFolder(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "levin-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
}
