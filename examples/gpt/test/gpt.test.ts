import * as torch from "@levin/torch";
import { seedEverything } from "levin";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";
import { Characters } from "../dist/data.js";
import { GPT } from "../dist/gpt.js";

describe("the GPT example, small and on a few batches", () => {
  const run = runExample("gpt", "--fast", "--prompt", "ROMEO:");

  it("learns to predict characters", () => {
    expect(numberIn(run.output, /([\d.]+) before/)).toBeCloseTo(Math.log(65), 0);
    expect(numberIn(run.output, /([\d.]+) after/)).toBeLessThan(3.2);
  });

  it("goes on with the prompt in the characters of its text", () => {
    const written = /\n(ROMEO:.*)\n$/s.exec(run.output)![1]!;
    const { vocabulary } = new Characters();
    expect(written).toHaveLength("ROMEO:".length + 500);
    expect([...written].filter((character) => !vocabulary.includes(character))).toEqual([]);
  });
});

describe("generate", () => {
  torch.setNumThreads(1); // beside other tests more would be slower
  const model = () => {
    seedEverything(1);
    return new GPT({ vocabulary: "abcdefgh", layers: 1, width: 16, blockSize: 8 });
  };
  const text = (options: Parameters<GPT["generate"]>[1]) => [...model().generate("abc", options)].join("");

  it("writes as many characters as it is asked for", () => {
    expect(text({ maxNewTokens: 20 })).toMatch(/^[a-h]{20}$/);
  });

  it("always takes the likeliest character where it draws of one only, or at a temperature near 0", () => {
    const likeliest = text({ topK: 1, maxNewTokens: 50 });
    expect(text({ temperature: 1e-4, maxNewTokens: 50 })).toBe(likeliest);
    expect(text({ temperature: 1, maxNewTokens: 50 })).not.toBe(likeliest);
  });

  it("refuses a prompt with characters that it doesn't know", () => {
    expect(() => [...model().generate("xyz")]).toThrow(/prompt must consist of the characters "abcdefgh"/);
  });
});
