import { setNumThreads } from "@levin/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { differencesOfCall, type Recorded, record } from "./nn-recorded.js";
import type { Call, TensorSpec } from "./nn-spec.js";

const t = (tensor: TensorSpec) => ({ tensor });
const shapes = (...list: number[][]) => list.map(t);
const data = (values: number[] | number[][]) => t({ data: values });
const int64 = (values: number[] | number[][]) => t({ data: values, dtype: "int64" });
const uniform = (...shape: number[]) => t({ uniform: shape });

function of(
  name: string,
  ...rows: [inputs: unknown[], options?: Record<string, unknown>, how?: Partial<Call>][]
): Call[] {
  return rows.map(([inputs, options = {}, how = {}]) => ({ function: name, inputs, options, ...how }));
}

const inPlace = { noGrad: true };

const calls: Call[] = [
  ...of(
    "affineGrid",
    [[t([2, 2, 3]), [2, 1, 4, 5]]],
    [[t([2, 3, 4]), [2, 1, 2, 3, 4]], { alignCorners: true }],
    [[t([2, 2, 3]), [2, 1, 4]], {}, { refused: true }],
  ),
  ...of(
    "gridSample",
    [shapes([1, 2, 4, 5], [1, 3, 3, 2])],
    [shapes([1, 2, 4, 5], [1, 3, 3, 2]), { mode: "nearest", paddingMode: "border", alignCorners: true }],
    [shapes([1, 2, 4, 5], [1, 3, 3, 2]), { mode: "bicubic", paddingMode: "reflection" }],
    [shapes([1, 2, 3, 4, 5], [1, 2, 3, 3, 3])],
  ),
  ...of("gumbelSoftmax", [shapes([4, 5])], [shapes([4, 5]), { tau: 0.5, hard: true, dim: 0 }]),
  ...of(
    "interpolate",
    [shapes([1, 2, 6, 6]), { size: [3, 4], mode: "area" }],
    [shapes([1, 2, 9, 8]), { size: [4, 3], mode: "bilinear", antialias: true }],
    [shapes([1, 2, 9, 8]), { scaleFactor: 0.4, mode: "bicubic", antialias: true, alignCorners: false }],
    [shapes([1, 2, 5]), { scaleFactor: 2.5, mode: "nearest-exact" }],
    [shapes([1, 2, 5]), { scaleFactor: 2.5, mode: "linear", recomputeScaleFactor: true }],
    [shapes([1, 2, 5]), {}, { refused: true }],
    [shapes([1, 2, 5]), { size: 3, scaleFactor: 2 }, { refused: true }],
  ),
  ...of("upsample", [shapes([1, 2, 3, 4]), { scaleFactor: 2, mode: "bilinear" }]),
  ...of("upsampleNearest", [shapes([1, 2, 3, 4]), { size: 5 }]),
  ...of("upsampleBilinear", [shapes([1, 2, 3, 4]), { scaleFactor: 2 }]),
  ...of("softmax", [shapes([3, 4]), { dim: 1, dtype: "float64" }], [shapes([3, 4, 2])]),
  ...of("logSoftmax", [shapes([3, 4]), { dim: 0, dtype: "float64" }]),
  ...of("softmin", [shapes([3, 4]), { dim: -1 }]),
  ...of(
    "normalize",
    [shapes([4, 6])],
    [shapes([4, 6]), { p: 1, dim: 0, eps: 0.5 }],
    [shapes([4, 6, 2]), { p: 3, dim: [1, 2] }],
  ),
  ...of(
    "oneHot",
    [
      [
        int64([
          [0, 2],
          [1, 4],
        ]),
      ],
    ],
    [[int64([0, 2])], { numClasses: 6 }],
    [[int64([0, 7])], { numClasses: 6 }, { refused: true }],
  ),
  ...of(
    "pad",
    [[t([1, 2, 5, 5]), [1, 2, 0, 1]], { mode: "reflect" }],
    [[t([2, 5]), [1, -1, 2, 0]], { value: 1.5 }],
    [[t([1, 2, 5, 5]), [1, 2, 2, 1]], { mode: "circular" }],
    [[t([1, 2, 5]), [3, 0]], { mode: "replicate" }],
    [[t([1, 2, 5]), [1, 1]], { mode: "symmetric" }, { refused: true }],
  ),
  ...of("pdist", [shapes([4, 3])], [shapes([4, 3]), { p: 1 }]),
  ...of("cosineSimilarity", [shapes([3, 4], [3, 4])], [shapes([3, 4], [1, 4]), { dim: -1 }]),
  ...of("pairwiseDistance", [shapes([3, 4], [3, 4]), { p: 1.5, keepdim: true }]),
  ...of("bilinear", [shapes([5, 3], [5, 4], [2, 3, 4])], [shapes([5, 3], [5, 4], [2, 3, 4], [2])]),
  ...of("linear", [shapes([5, 3], [4, 3])], [shapes([5, 3], [4, 3], [4])]),
  ...of(
    "conv1d",
    [shapes([2, 3, 9], [4, 3, 3])],
    [shapes([2, 4, 9], [4, 2, 3]), { groups: 2, stride: 2, padding: 1 }],
    [shapes([2, 3, 9], [4, 3, 4]), { padding: "same", dilation: 2 }],
  ),
  ...of(
    "conv2d",
    [shapes([2, 3, 6, 7], [4, 3, 3, 2], [4])],
    [shapes([3, 6, 7], [4, 3, 3, 2]), { padding: [1, 2], dilation: [1, 2] }],
  ),
  ...of("conv3d", [shapes([1, 2, 4, 4, 4], [3, 2, 2, 2, 2])]),
  ...of("convTranspose1d", [shapes([2, 3, 5], [3, 2, 3]), { stride: 2, outputPadding: 1, padding: 1 }]),
  ...of("convTranspose2d", [shapes([2, 4, 4, 5], [4, 2, 3, 2]), { groups: 2, dilation: 2 }]),
  ...of("convTranspose3d", [shapes([1, 2, 3, 3, 3], [2, 3, 2, 2, 2])]),
  ...of("convTbc", [shapes([7, 2, 3], [3, 3, 4], [4]), { pad: 1 }]),
  ...of("unfold", [[t([1, 2, 4, 6]), [2, 3]], { padding: 1, stride: 2 }]),
  ...of("fold", [[t([1, 8, 6]), [4, 6], [2, 2]], { stride: 2 }]),
  ...of("pixelShuffle", [[t([8, 3, 3]), 2]]),
  ...of("pixelUnshuffle", [[t([2, 6, 6]), 2]]),
  ...of("channelShuffle", [[t([1, 6, 2, 2]), 3]]),
  ...of("avgPool1d", [[t([2, 3, 8]), 3], { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }]),
  ...of("avgPool2d", [[t([2, 7, 7]), [3, 2]], { divisorOverride: 4 }]),
  ...of("avgPool3d", [[t([1, 2, 4, 4, 4]), 2], { stride: 1 }]),
  ...of("maxPool1d", [[t([2, 3, 8]), 3], { stride: 2, padding: 1, returnIndices: true }]),
  ...of("maxPool2d", [[t([2, 3, 8, 8]), 3], { dilation: 2, ceilMode: true }]),
  ...of("maxPool3d", [[t([2, 3, 4, 4, 4]), 2], { stride: 1 }]),
  ...["maxPool1dWithIndices", "maxPool2dWithIndices", "maxPool3dWithIndices"].flatMap((name, i) =>
    of(name, [[t([2, 5, 6, 4, 5].slice(0, i + 3)), 2], { stride: 1 }]),
  ),
  ...["adaptiveAvgPool1d", "adaptiveAvgPool2d", "adaptiveAvgPool3d"].flatMap((name, i) =>
    of(name, [[t([2, 3, 5, 6, 7].slice(0, i + 3)), 2]]),
  ),
  ...["adaptiveMaxPool1d", "adaptiveMaxPool2d", "adaptiveMaxPool3d"].flatMap((name, i) =>
    of(name, [[t([2, 3, 5, 6, 7].slice(0, i + 3)), 2], { returnIndices: true }]),
  ),
  ...["adaptiveMaxPool1dWithIndices", "adaptiveMaxPool2dWithIndices", "adaptiveMaxPool3dWithIndices"].flatMap(
    (name, i) => of(name, [[t([2, 3, 5, 6, 7].slice(0, i + 3)), 2]]),
  ),
  ...of("fractionalMaxPool2d", [[t([1, 2, 8, 9]), 2], { outputRatio: [0.6, 0.7] }]),
  ...of("fractionalMaxPool2dWithIndices", [[t([1, 2, 8, 9]), 2], { outputSize: [4, 5] }]),
  ...of("fractionalMaxPool3dWithIndices", [[t([1, 2, 6, 7, 8]), 2], { outputSize: 3 }]),
  ...of("lpPool1d", [[uniform(2, 3, 8), 2, 3], { stride: 1 }], [[t([2, 3, 8]), 3, 2]]),
  ...of("lpPool2d", [[uniform(2, 3, 6, 6), 2, 2], { ceilMode: true }]),
  ...of("lpPool3d", [[uniform(1, 2, 4, 4, 4), 2, 2]]),
  ...of("maxUnpool1d", [
    [
      t([1, 2, 3]),
      int64([
        [0, 3, 4],
        [1, 2, 5],
      ]),
      2,
    ],
    {},
    { refused: true },
  ]),
  ...of("dropout", [shapes([20, 20]), { p: 0.3 }], [shapes([20, 20]), { training: false }]),
  ...["dropout1d", "dropout2d", "dropout3d"].flatMap((name, i) =>
    of(name, [[t([3, 8, 2, 2, 2].slice(0, i + 3))], { p: 0.4, training: true }]),
  ),
  ...of("alphaDropout", [shapes([20, 20]), { p: 0.3, training: true }], [shapes([5, 5])]),
  ...of("featureAlphaDropout", [shapes([4, 8, 3]), { p: 0.3, training: true }]),
  ...of(
    "batchNorm",
    [[t([4, 3, 2]), data([0, 1, 2]), data([1, 2, 3])], { eps: 0.1 }],
    [
      [t([4, 3, 2]), data([0, 1, 2]), data([1, 2, 3])],
      { training: true, weight: uniform(3), bias: uniform(3), momentum: 0.5 },
    ],
  ),
  ...of(
    "instanceNorm",
    [shapes([4, 3, 5])],
    [shapes([4, 3, 5]), { weight: uniform(3), bias: uniform(3), eps: 0.1 }],
  ),
  ...of("layerNorm", [[t([3, 4, 5]), [4, 5]], { weight: uniform(4, 5), eps: 0.1 }]),
  ...of("groupNorm", [[t([3, 4, 5]), 2], { weight: uniform(4), bias: uniform(4) }]),
  ...of("rmsNorm", [[t([3, 4, 5]), [5]], { weight: uniform(5), eps: 0.1 }]),
  ...of("localResponseNorm", [[t([3, 4, 5]), 3], { alpha: 0.2, beta: 0.5, k: 1.5 }]),
  ...of(
    "embedding",
    [
      [
        int64([
          [0, 2],
          [1, 2],
        ]),
        t([4, 3]),
      ],
      { paddingIdx: 2 },
    ],
    [[int64([0, 2, 2]), t([4, 3])], { scaleGradByFreq: true }],
  ),
  ...of(
    "embeddingBag",
    [[int64([0, 2, 1, 2]), t([4, 3])], { offsets: int64([0, 1]), mode: "sum" }],
    [
      [
        int64([
          [0, 2],
          [1, 2],
        ]),
        t([4, 3]),
      ],
      { mode: "max" },
    ],
  ),
  ...["relu_", "elu_", "celu_", "selu_", "leakyRelu_"].flatMap((name) =>
    of(name, [shapes([3, 4]), {}, inPlace]),
  ),
  ...of("hardtanh_", [[t([3, 4]), -0.5, 0.5], {}, inPlace]),
  ...of("rrelu_", [[t([3, 4]), 0.1, 0.4, true], {}, inPlace]),
  ...of("threshold_", [[t([3, 4]), 0.1, 5], {}, inPlace]),
  ...["l1Loss", "mseLoss", "huberLoss"].flatMap((name) =>
    ["mean", "sum", "none"].flatMap((reduction) =>
      of(name, [shapes([3, 4], [3, 4]), { reduction, weight: uniform(3, 4) }]),
    ),
  ),
  ...of(
    "gaussianNllLoss",
    [[t([4, 5]), t([4, 5]), uniform(4, 1)], { full: true, reduction: "sum" }],
    [[t([4, 5]), t([4, 5]), 0.5]],
  ),
  ...of("linearCrossEntropy", [
    [t([6, 8]), t([10, 8]), int64([1, 2, 3, 4, 5, 0])],
    { linearBias: uniform(10), ignoreIndex: 3 },
  ]),
  ...of(
    "scaledDotProductAttention",
    [shapes([2, 2, 5, 4], [2, 2, 6, 4], [2, 2, 6, 4]), { attnMask: t({ below: [5, 6], limit: 0.8 }) }],
    [shapes([2, 4, 5, 4], [2, 2, 5, 4], [2, 2, 5, 4]), { isCausal: true, enableGqa: true, scale: 0.3 }],
    [shapes([2, 2, 5, 4], [2, 2, 6, 4], [2, 2, 6, 4]), { dropoutP: 0.4 }],
  ),
  ...of(
    "multiHeadAttentionForward",
    [
      [
        ...shapes([5, 2, 8], [7, 2, 8], [7, 2, 8]),
        8,
        2,
        t([24, 8]),
        t([24]),
        null,
        null,
        true,
        0.2,
        t([8, 8]),
        t([8]),
      ],
      { staticK: t([4, 7, 4]), averageAttnWeights: false },
    ],
    [
      [
        ...shapes([5, 2, 8], [7, 2, 8], [7, 2, 8]),
        8,
        2,
        null,
        t([24]),
        t([1, 1, 8]),
        t([1, 1, 8]),
        false,
        0,
        t([8, 8]),
        null,
      ],
      {
        useSeparateProjWeight: true,
        qProjWeight: t([8, 8]),
        kProjWeight: t([8, 8]),
        vProjWeight: t([8, 8]),
        training: false,
      },
    ],
    [
      [
        ...shapes([5, 2, 8], [7, 2, 8], [7, 2, 8]),
        8,
        2,
        t([24, 8]),
        null,
        t([1, 1, 8]),
        null,
        false,
        0,
        t([8, 8]),
        null,
      ],
      {},
      { refused: true },
    ],
  ),
  ...of(
    "groupedMm",
    [shapes([2, 3, 8], [2, 8, 8])],
    [[t([16, 8]), t([2, 8, 16])], { offs: t({ data: [4, 16], dtype: "int32" }) }],
  ),
  ...of("glu", [shapes([4, 3]), { dim: 0 }]),
  ...of("rrelu", [shapes([4, 3]), { training: true }], [shapes([4, 3])]),
  ...of("prelu", [[t([2, 3, 4]), uniform(3)]]),
];

describe.skipIf(!process.env.LEVIN_PYTHON)("functions compute what those of PyTorch do", () => {
  let recorded: Recorded[] = [];

  beforeAll(() => {
    setNumThreads(1);
    recorded = record(calls);
  });

  test.each(calls.map((spec, i) => [`${spec.function} ${JSON.stringify(spec.options)}`, spec, i] as const))(
    "%s",
    (_title, spec, i) => {
      const about = recorded[i] as Recorded;
      if (spec.refused) {
        expect(about.error).toBeDefined();
        expect(() => differencesOfCall(spec, about)).toThrow();
      } else {
        expect(about.error).toBeUndefined();
        expect(differencesOfCall(spec, about)).toBe("");
      }
    },
  );
});
