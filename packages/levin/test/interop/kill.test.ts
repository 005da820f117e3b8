import { expect, it } from "vitest";
import { killAndResume, variants } from "../../scripts/kill/kill.mjs";

// two kills each; `node packages/levin/scripts/kill/kill.mjs 30` makes more of them
it.each(variants.slice(0, 4))(
  "a run (%s) that is killed and goes on ends as if nothing had been",
  async (variant) => {
    const { kills, read, same } = await killAndResume(variant, 2, 5);
    expect([kills, same]).toEqual([2, true]);
    expect(read).toBeGreaterThan(0);
  },
);
