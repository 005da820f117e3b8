import * as torch from "@levin/torch";
import { type Index, slice } from "@levin/torch";
import { describe, expect, it } from "vitest";
import { askPython, Random } from "./ask-python.js";

interface Part {
  index: Index;
  /** The same in Python. */
  text: string;
}

/** Random parts of an index for a tensor of the shape; some reach outside of it. */
function randomIndex(random: Random, shape: readonly number[]): Part[] {
  const parts: Part[] = [];
  let dim = 0;
  let hasEllipsis = false;
  let listLength: number | undefined;
  while (dim < shape.length && random.chance(0.85)) {
    const size = shape[dim] as number;
    const kind = random.next();
    if (kind < 0.25) {
      const i = random.integer(-size - (random.chance(0.05) ? 1 : 0), size - (random.chance(0.05) ? 0 : 1));
      parts.push({ index: i, text: String(i) });
      dim += 1;
    } else if (kind < 0.5) {
      const bound = () => (random.chance(0.3) ? null : random.integer(-size - 2, size + 2));
      const [start, stop, step] = [bound(), bound(), random.chance(0.3) ? random.integer(2, 3) : 1];
      parts.push({
        index: slice(start, stop, step),
        text: `slice(${start ?? "None"}, ${stop ?? "None"}, ${step})`,
      });
      dim += 1;
    } else if (kind < 0.6) {
      parts.push({ index: null, text: "None" });
    } else if (kind < 0.65 && !hasEllipsis) {
      hasEllipsis = true;
      parts.push({ index: "...", text: "..." });
      dim += random.integer(0, shape.length - dim);
    } else if (kind < 0.69) {
      const flag = random.chance(0.7);
      parts.push({ index: flag, text: flag ? "True" : "False" });
    } else if (kind < 0.8 && size > 0) {
      listLength ??= random.integer(1, 3);
      const list = Array.from({ length: listLength }, () => random.integer(-size, size - 1));
      const asTensor = random.chance(0.5);
      parts.push({
        index: asTensor ? torch.tensor(list.map(BigInt)) : list,
        text: asTensor ? `torch.tensor([${list}])` : `[${list}]`,
      });
      dim += 1;
    } else if (kind < 0.85 && size > 0) {
      const i = random.integer(0, size - 1);
      parts.push({ index: torch.tensor(BigInt(i)), text: `torch.tensor(${i})` });
      dim += 1;
    } else if (kind < 0.88) {
      const flag = random.chance(0.7);
      parts.push({ index: torch.tensor(flag), text: `torch.tensor(${flag ? "True" : "False"})` });
    } else if (kind < 0.94) {
      const mask = Array.from({ length: size }, () => random.chance(0.5));
      if (random.chance(0.5))
        parts.push({ index: torch.tensor(mask, { dtype: "bool" }), text: maskText(mask) });
      else if (size > 0) parts.push({ index: mask, text: `[${mask.map((v) => (v ? "True" : "False"))}]` });
      dim += 1;
    } else if (dim + 1 < shape.length) {
      const next = shape[dim + 1] as number;
      const mask = Array.from({ length: size }, () => Array.from({ length: next }, () => random.chance(0.5)));
      const flat = mask.flat();
      parts.push({
        index: torch.tensor(flat, { dtype: "bool" }).reshape([size, next]),
        text: `${maskText(flat)}.reshape(${size}, ${next})`,
      });
      dim += 2;
    }
  }
  return parts;
}

const maskText = (mask: readonly boolean[]) =>
  `torch.tensor([${mask.map((v) => (v ? "True" : "False"))}], dtype=torch.bool)`;
const shapes = [[], [3], [0], [2, 3], [3, 1], [2, 0, 3], [4, 3, 2], [2, 3, 2, 3], [1, 2, 1, 3]];

type Answer = { shape: number[]; values: unknown } | { error: true };

const numbered = (shape: readonly number[]) => {
  const count = shape.reduce((product, size) => product * size, 1);
  return torch.arange(count).reshape([...shape]);
};

function attempt(run: () => torch.Tensor): Answer {
  try {
    const result = run();
    return { shape: result.shape, values: result.toArray() };
  } catch (error) {
    expect(error).toBeInstanceOf(torch.LevinError);
    return { error: true };
  }
}

const PYTHON = `
import torch
def attempt(run):
    try:
        result = run()
        return {"shape": list(result.shape), "values": result.tolist()}
    except (IndexError, RuntimeError, ValueError, TypeError):
        return {"error": True}
def numbered(shape):
    count = 1
    for size in shape: count *= size
    return torch.arange(count).reshape(shape)
`;

describe("indexing", () => {
  it("gives what PyTorch's does for random expressions", () => {
    const random = new Random(1);
    const cases = Array.from({ length: 3000 }, () => {
      const shape = random.pick(shapes);
      return { shape, parts: randomIndex(random, shape) };
    });
    const expected = askPython<Answer[]>(
      `${PYTHON}
answer = [attempt(lambda: numbered(c["shape"])[eval(c["text"])]) for c in given]`,
      cases.map(({ shape, parts }) => ({
        shape,
        text: `(${parts.map(({ text }) => `${text},`).join(" ")})`,
      })),
    );
    for (const [i, { shape, parts }] of cases.entries()) {
      const got = attempt(() => numbered(shape).get(parts.map(({ index }) => index)));
      expect(got, `numbered(${shape})[${parts.map(({ text }) => text)}]`).toEqual(expected[i]);
    }
    expect(expected.filter((answer) => "error" in answer).length).toBeLessThan(1000);
  });

  it("writes what PyTorch's does for random expressions and values", () => {
    const random = new Random(2);
    const cases = Array.from({ length: 2000 }, () => {
      const shape = random.pick(shapes);
      const parts = randomIndex(random, shape);
      const valueShape = random.chance(0.4)
        ? null
        : random.pick([[], [1], [3], [2], [2, 3], [1, 1, 3], [1, 2, 1]]);
      return { shape, parts, valueShape };
    });
    const expected = askPython<Answer[]>(
      `${PYTHON}
def write(c):
    x = numbered(c["shape"]).contiguous()
    x[eval(c["text"])] = -7 if c["valueShape"] is None else numbered(c["valueShape"]) + 100
    return x
answer = [attempt(lambda: write(c)) for c in given]`,
      cases.map(({ shape, parts, valueShape }) => ({
        shape,
        valueShape,
        text: `(${parts.map(({ text }) => `${text},`).join(" ")})`,
      })),
    );
    for (const [i, { shape, parts, valueShape }] of cases.entries()) {
      const value = valueShape === null ? -7 : numbered(valueShape).add(100);
      const got = attempt(() =>
        numbered(shape).set(
          parts.map(({ index }) => index),
          value,
        ),
      );
      expect(got, `numbered(${shape})[${parts.map(({ text }) => text)}] = ${valueShape}`).toEqual(
        expected[i],
      );
    }
  });
});
