import { setNumThreads } from "@levin/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { cases, title } from "./nn-cases.js";
import { differencesOfModule, type Recorded, record } from "./nn-recorded.js";

describe.skipIf(!process.env.LEVIN_PYTHON)("modules print, hold and compute what those of PyTorch do", () => {
  let recorded: Recorded[] = [];

  beforeAll(() => {
    setNumThreads(1);
    recorded = record(cases);
  });

  test.each(cases.map((spec, i) => [title(spec), spec, i] as const))("%s", (_title, spec, i) => {
    const about = recorded[i] as Recorded;
    if (spec.refused) {
      expect(about.error).toBeDefined();
      expect(() => differencesOfModule(spec, about)).toThrow();
    } else {
      expect(about.error).toBeUndefined();
      expect(differencesOfModule(spec, about)).toBe("");
    }
  });
});
