import { expect, it } from "vitest";
import { runMutations } from "./serialization-fixtures/run-mutations.js";

// The test among those with Python takes 10,000 files.
it("600 damaged files give an error or the right content, in time and in memory", async () => {
  const { failures, loaded, refused } = await runMutations(0, 600, 50_000);
  expect(failures).toEqual([]);
  expect(loaded + refused).toBe(600);
  expect(refused).toBeGreaterThan(300);
});
