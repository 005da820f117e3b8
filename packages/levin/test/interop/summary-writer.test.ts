import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, type Tensor } from "@levin/torch";
import { SummaryWriter, setQuiet } from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPython } from "./python.js";

type Content = Record<string, unknown>;

/** Numbers from 0 to 1. */
function ramp(...shape: number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return torch
    .arange(count, { dtype: "float32" })
    .div(count - 1)
    .reshape(shape);
}

function write(folder: string): void {
  const writer = new SummaryWriter(folder, { filenameSuffix: ".end" });
  writer.addScalar("scalar", 0.1, 3, { walltime: 1.5 });
  writer.addScalar("scalar/new", torch.tensor(0.1), 4, { newStyle: true });
  writer.addScalar("scalar/double", 0.1, 4, { newStyle: true, doublePrecision: true });
  writer.addScalars("many/curves", { a: 1, b: torch.tensor(2) }, 5, { walltime: 2.5 });
  writer.addTensor("tensor", torch.tensor([[1, 2, 3]], { dtype: "int64" }), 6);
  writer.addTensor("tensor/float", ramp(2, 2), 6);
  const values = torch.tensor([0, 0.001, -0.5, -0.5, 3, 3.0001, 1e-14, 250, -1e5]);
  writer.addHistogram("histogram", values, 7);
  writer.addHistogram("histogram/ten", values, 7, { bins: 10 });
  writer.addHistogram("histogram/edges", values, 7, { bins: [-1, 0, 3, 250] });
  writer.addHistogram("histogram/few", values, 7, { maxBins: 9 });
  const raw = { min: 0, max: 1, num: 2, sum: 1, sumSquares: 1, bucketLimits: [0.5, 1], bucketCounts: [1, 1] };
  writer.addHistogramRaw("histogram/raw", raw, 7);
  writer.addImage("image", ramp(3, 4, 5), 8);
  writer.addImage("image/grey", ramp(1, 4, 5), 8);
  writer.addImage("image/alpha", ramp(4, 5, 4), 8, { dataformats: "HWC" });
  writer.addImage("image/plain", ramp(4, 5).mul(3).sub(1), 8, { dataformats: "HW" });
  writer.addImage("image/bytes", ramp(3, 4, 5).mul(255).to("uint8"), 8);
  writer.addImages("images", ramp(11, 3, 4, 5), 9);
  writer.addImages("images/last", ramp(2, 4, 5, 1), 9, { dataformats: "NHWC" });
  writer.addText("text", "**it works**: ä", 10);
  writer.addAudio("audio", ramp(1, 100).mul(2).sub(1), 11, { sampleRate: 8000 });
  writer.addAudio("audio/loud", ramp(50).mul(4).sub(2), 11);
  writer.addHparams(
    { lr: 0.1, name: "net", none: null },
    { accuracy: 0.5 },
    { hparamDomainDiscrete: { lr: [0.1, 0.01] }, runName: "hp", globalStep: 12 },
  );
  writer.addEmbedding(ramp(5, 3), { metadata: ["a", "b", 3, "d", "e"], labelImg: ramp(5, 3, 4, 6) });
  const rows = [
    ["x", 1],
    ["y", 2],
    ["z", 3],
  ];
  writer.addEmbedding(torch.arange(6).reshape([3, 2]), {
    metadata: rows,
    metadataHeader: ["name", "n"],
    globalStep: 2,
    tag: 'odd/"tag" ä',
  });
  const labels = torch.tensor([0, 1, 1, 0, 1, 1]);
  writer.addPrCurve("pr", labels, ramp(6), 13);
  writer.addPrCurve("pr/weights", labels, ramp(6), 13, { numThresholds: 5, weights: torch.arange(6) });
  writer.addCustomScalars({ A: { x: ["Multiline", ["a", "b"]], y: ["Margin", ["a", "b", "c"]] } });
  writer.addMesh("mesh", ramp(1, 4, 3), {
    colors: ramp(1, 4, 3).mul(255),
    faces: torch.tensor([
      [
        [0, 1, 2],
        [0, 2, 3],
      ],
    ]),
    configDict: { camera: { cls: "PerspectiveCamera" } },
    globalStep: 14,
  });
  writer.addMesh("points", ramp(2, 4, 3), { globalStep: 14 });
  writer.close();
}

class Net extends nn.Module {
  readonly first = new nn.Linear(3, 4);
  readonly rest = new nn.Sequential(new nn.ReLU({ inplace: true }), new nn.Linear(4, 4));
  readonly dropout = new nn.Dropout();

  override forward(x: Tensor): Tensor {
    const first = this.first.forward(x);
    return this.dropout.forward(this.rest.forward(first).add(first).exp()).sigmoid();
  }
}

describe("SummaryWriter", () => {
  const folder = mkdtempSync(join(tmpdir(), "levin-"));
  let ours: Content;
  let reference: Content;
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeAll(async () => {
    setQuiet(true);
    write(join(folder, "levin"));
    await runPython("summaries.py", "write", join(folder, "torch"));
    [ours, reference] = JSON.parse(
      await runPython("summaries.py", "read", join(folder, "levin"), join(folder, "torch")),
    );
  });

  it("writes the same files as PyTorch's", () => {
    expect(Object.keys(ours)).toEqual(Object.keys(reference));
  });

  it("writes the same events and contents", () => {
    expect(ours).toEqual(reference);
  });

  it("writes videos as animated GIFs, those of a batch in a grid", async () => {
    const path = join(folder, "video");
    const writer = new SummaryWriter(path);
    const [black, white] = [torch.zeros([2, 1, 1, 2]), torch.ones([2, 1, 1, 2])];
    const video = torch
      .stack([torch.stack([black, white]), torch.stack([white, black])])
      .expand([2, 2, 2, 3, 1, 2]);
    writer.addVideo("video", video.get(0).permute([1, 0, 2, 3, 4]), 1, { fps: 10 });
    writer.close();
    const [{ events }] = JSON.parse(await runPython("summaries.py", "read", path));
    const [height, width, channels, { format, frames, duration }] = events[1][3][0].value;
    expect([height, width, channels, format, duration]).toEqual([1, 4, 3, "GIF", 100]);
    const row = (...values: number[]) => [values.map((value) => [value, value, value])];
    expect(frames).toEqual([row(0, 0, 0, 0), row(255, 255, 255, 255)]);
  });

  it("writes the graph of a model, with the calls of modules and the way of the data", async () => {
    const path = join(folder, "graph");
    const writer = new SummaryWriter(path);
    const net = new Net();
    net.dropout.eval();
    writer.addGraph(net, torch.ones([2, 3]));
    expect([net.training, net.dropout.training]).toEqual([true, false]);
    writer.close();
    expect(JSON.parse(await runPython("summaries.py", "graph", path))).toEqual({
      "input/0": ["IO Node", [], [2, 3]],
      "Net/Linear[first]/weight": ["prim::GetAttr", [], [4, 3]],
      "Net/Linear[first]/bias": ["prim::GetAttr", [], [4]],
      "Net/Linear[first]/forward": [
        "Linear",
        ["input/0", "Net/Linear[first]/weight", "Net/Linear[first]/bias"],
        [2, 4],
      ],
      "Net/Sequential[rest]/ReLU[0]/forward": ["ReLU", ["Net/Linear[first]/forward"], [2, 4]],
      "Net/Sequential[rest]/Linear[1]/weight": ["prim::GetAttr", [], [4, 4]],
      "Net/Sequential[rest]/Linear[1]/bias": ["prim::GetAttr", [], [4]],
      "Net/Sequential[rest]/Linear[1]/forward": [
        "Linear",
        [
          "Net/Sequential[rest]/ReLU[0]/forward",
          "Net/Sequential[rest]/Linear[1]/weight",
          "Net/Sequential[rest]/Linear[1]/bias",
        ],
        [2, 4],
      ],
      "Net/Dropout[dropout]/forward": [
        "Dropout",
        ["Net/Linear[first]/forward", "Net/Sequential[rest]/Linear[1]/forward"],
        [2, 4],
      ],
      "output/output.1": ["IO Node", ["Net/Dropout[dropout]/forward"], [2, 4]],
    });
  });
});
