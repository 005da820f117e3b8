import type { DType } from "@levin/torch";
import type { Case, ModuleSpec, TensorSpec } from "./nn-spec.js";

const t = (tensor: TensorSpec) => ({ tensor });
const integers = (shape: number[], high: number) => t({ integers: shape, high });
const uniform = (...shape: number[]) => t({ uniform: shape });
const data = (values: number[] | number[][], dtype: DType = "float32") => t({ data: values, dtype });

/** Arguments of a constructor: positional ones, and at the end, where there are any, options. */
type Arguments = readonly unknown[];

function isOptions(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !("module" in value) &&
    !("tensor" in value)
  );
}

function spec(name: string, args: Arguments): ModuleSpec {
  const last = args.at(-1);
  return isOptions(last) ? [name, args.slice(0, -1), last] : [name, [...args], {}];
}

const module = (name: string, ...args: unknown[]) => ({ module: spec(name, args) });

/** Cases of a module: each one its arguments, its inputs (a shape is a tensor of normal numbers), and how it is run. */
function of(
  name: string,
  ...rows: readonly (readonly [args: Arguments, inputs: readonly unknown[], how?: Partial<Case>])[]
): Case[] {
  return rows.map(([args, inputs, how]) => ({
    module: spec(name, args),
    inputs: inputs.map((input) =>
      Array.isArray(input) && typeof input[0] === "number" ? t(input as number[]) : input,
    ),
    ...how,
  }));
}

/** The same rows for several classes. */
function each(
  names: string[],
  ...rows: Parameters<typeof of> extends [string, ...infer R] ? R : never
): Case[] {
  return names.flatMap((name) => of(name, ...rows));
}

const evaluated = { mode: "eval" } as const;
const fast = { mode: "eval", noGrad: true } as const;
const refused = { refused: true } as const;

const linear: Case[] = [
  ...of(
    "Linear",
    [[4, 3], [[5, 4]]],
    [[4, 3, { bias: false }], [[2, 5, 4]]],
    [[4, 3, { dtype: "float64" }], [t({ normal: [2, 4], dtype: "float64" })]],
    [[4, 3], [[4]]],
  ),
  ...of(
    "Bilinear",
    [
      [3, 4, 2],
      [
        [5, 3],
        [5, 4],
      ],
    ],
    [
      [3, 4, 2, { bias: false }],
      [
        [2, 5, 3],
        [2, 5, 4],
      ],
    ],
  ),
  ...of("Identity", [[], [[3]]], [[54, { unused: 1 }], [[2, 3]]]),
  ...of("Flatten", [[], [[2, 3, 4]]], [[{ startDim: 0, endDim: 1 }], [[2, 3, 4]]]),
  ...of("Unflatten", [[1, [2, 3]], [[4, 6]]], [[-1, [3, -1]], [[4, 6]]]),
];

const convolutions: Case[] = [
  ...of(
    "Conv1d",
    [[3, 6, 3], [[2, 3, 11]]],
    [[4, 6, 3, { stride: 2, padding: 1, dilation: 2, groups: 2, bias: false }], [[2, 4, 13]]],
    [[2, 4, [4], { padding: "same", dilation: 3 }], [[2, 2, 13]]],
    [[2, 4, 3, { padding: "valid" }], [[2, 9]]],
    [[2, 4, 3, { padding: 2, paddingMode: "reflect" }], [[2, 2, 9]]],
    [[2, 4, 4, { padding: "same", paddingMode: "circular" }], [[2, 2, 9]]],
    [[2, 4, 3, { padding: 2, paddingMode: "replicate", stride: 2 }], [[2, 2, 9]]],
    [[2, 4, 3, { padding: "same", stride: 2 }], [[2, 2, 9]], refused],
    [[3, 4, 3, { groups: 2 }], [[2, 3, 9]], refused],
    [[2, 4, 3, { paddingMode: "mirror" }], [[2, 2, 9]], refused],
  ),
  ...of(
    "Conv2d",
    [[3, 8, 3, { padding: 1 }], [[2, 3, 8, 7]]],
    [[4, 8, [3, 2], { stride: [2, 1], groups: 4, bias: false }], [[2, 4, 9, 8]]],
    [[3, 4, [3, 5], { padding: [1, 2], dilation: [2, 1] }], [[3, 9, 8]]],
    [[2, 3, 3, { padding: [1, 2], paddingMode: "reflect" }], [[1, 2, 6, 6]]],
    [[2, 3, [2, 3], { padding: "same", paddingMode: "replicate" }], [[1, 2, 6, 6]]],
    [[2, 3, 3, { padding: 1, paddingMode: "circular", stride: 2 }], [[1, 2, 6, 6]]],
    [[2, 3, 3, { dtype: "float64" }], [t({ normal: [1, 2, 6, 6], dtype: "float64" })]],
  ),
  ...of(
    "Conv3d",
    [[2, 3, 3, { padding: 1 }], [[1, 2, 4, 5, 6]]],
    [[2, 4, [1, 2, 3], { groups: 2, stride: [1, 2, 1], bias: false }], [[2, 4, 5, 6]]],
    [[2, 3, 2, { padding: "same", paddingMode: "circular" }], [[1, 2, 4, 4, 4]]],
  ),
  ...of(
    "ConvTranspose1d",
    [[3, 2, 4, { stride: 2, padding: 1 }], [[2, 3, 7]]],
    [[4, 6, 3, { stride: 3, outputPadding: 2, groups: 2, bias: false, dilation: 2 }], [[2, 4, 5]]],
    [[3, 2, 3, { stride: 2, padding: 1 }], [[2, 3, 7]], { options: { outputSize: [14] } }],
    [[3, 2, 3, { paddingMode: "reflect" }], [[2, 3, 7]], refused],
  ),
  ...of(
    "ConvTranspose2d",
    [[4, 3, 3, { stride: 2, padding: 1, outputPadding: 1 }], [[2, 4, 5, 5]]],
    [[4, 4, [3, 2], { groups: 2, dilation: [2, 1], bias: false }], [[4, 5, 5]]],
    [[2, 3, 3, { stride: 2 }], [[1, 2, 4, 4]], { options: { outputSize: [1, 3, 10, 9] } }],
    [[2, 3, 3, { stride: 2 }], [[1, 2, 4, 4]], { options: { outputSize: [12, 9] }, ...refused }],
  ),
  ...of(
    "ConvTranspose3d",
    [[2, 3, 2, { stride: 2 }], [[1, 2, 3, 3, 3]]],
    [[2, 2, [1, 2, 3], { groups: 2, padding: [0, 1, 1] }], [[2, 3, 3, 3]]],
  ),
];

const lazy: Case[] = [
  ...of("LazyLinear", [[3], [[5, 4]]], [[3, { bias: false }], [[4]]]),
  ...of(
    "LazyConv1d",
    [[6, 3], [[2, 3, 11]]],
    [[6, 3, { groups: 3, padding: "same" }], [[3, 11]]],
    [[6, 3, { groups: 2 }], [[2, 3, 11]], refused],
  ),
  ...of("LazyConv2d", [[4, [3, 2], { bias: false }], [[2, 3, 6, 6]]]),
  ...of("LazyConv3d", [[4, 2], [[2, 3, 4, 4, 4]]], [[4, 2], [[2, 3, 4]], refused]),
  ...of("LazyConvTranspose1d", [[4, 3, { stride: 2 }], [[2, 3, 5]]]),
  ...of("LazyConvTranspose2d", [[4, 3, { groups: 2, bias: false }], [[2, 4, 5, 5]]]),
  ...of("LazyConvTranspose3d", [[2, 2], [[1, 3, 3, 3, 3]]]),
  ...of("LazyBatchNorm1d", [[], [[4, 3]]], [[{ affine: false, momentum: null }], [[4, 3, 5]]]),
  ...of(
    "LazyBatchNorm2d",
    [[{ eps: 1e-3, trackRunningStats: false }], [[4, 3, 2, 2]]],
    [[{ bias: false }], [[4, 3, 2, 2]]],
  ),
  ...of("LazyBatchNorm3d", [[], [[2, 3, 2, 2, 2]]]),
  ...of("LazyInstanceNorm1d", [[], [[4, 3, 5]]], [[{ affine: true, trackRunningStats: true }], [[4, 3, 5]]]),
  ...of("LazyInstanceNorm2d", [[{ affine: true }], [[4, 3, 2, 2]]]),
  ...of("LazyInstanceNorm3d", [[{ trackRunningStats: true }], [[2, 3, 2, 2, 2]]]),
];

const pooling: Case[] = [
  ...of(
    "MaxPool1d",
    [[3, { stride: 2 }], [[2, 3, 11]]],
    [[3, { stride: 2, padding: 1, dilation: 2, ceilMode: true, returnIndices: true }], [[2, 3, 12]]],
    [[[2]], [[3, 8]]],
  ),
  ...of(
    "MaxPool2d",
    [[3, { stride: 2, padding: 1 }], [[2, 3, 9, 8]]],
    [[[2, 3], { ceilMode: true, returnIndices: true }], [[1, 2, 7, 7]]],
    [[2, { stride: [2, 1], dilation: [1, 2] }], [[2, 7, 7]]],
    [[3, { padding: 2 }], [[2, 3, 9, 8]], refused],
  ),
  ...of(
    "MaxPool3d",
    [[2], [[1, 2, 4, 4, 6]]],
    [[[1, 2, 3], { stride: [2, 1, 2], returnIndices: true, ceilMode: true }], [[2, 5, 5, 6]]],
  ),
  ...of(
    "AvgPool1d",
    [[2], [[2, 3, 8]]],
    [[3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }], [[2, 3, 8]]],
  ),
  ...of(
    "AvgPool2d",
    [[3, { stride: 2, padding: 1, countIncludePad: false }], [[2, 3, 7, 7]]],
    [[[3, 2], { ceilMode: true, divisorOverride: 5 }], [[3, 7, 7]]],
  ),
  ...of(
    "AvgPool3d",
    [[2], [[1, 2, 4, 4, 4]]],
    [[3, { stride: 2, padding: 1, divisorOverride: 3, ceilMode: true }], [[2, 5, 5, 5]]],
  ),
  ...of(
    "LPPool1d",
    [[2, 3], [uniform(2, 3, 8)]],
    [[3, 2, { stride: 1, ceilMode: true }], [uniform(2, 3, 7)]],
  ),
  ...of(
    "LPPool2d",
    [[2, 2], [uniform(1, 2, 6, 6)]],
    [[1, [2, 3], { stride: [1, 2] }], [uniform(1, 2, 6, 6)]],
  ),
  ...of("LPPool3d", [[2, 2], [uniform(1, 2, 4, 4, 4)]]),
  ...of("AdaptiveAvgPool1d", [[3], [[2, 3, 8]]], [[[5]], [[3, 8]]]),
  ...of("AdaptiveAvgPool2d", [[[3, 2]], [[2, 3, 7, 8]]], [[[null, 4]], [[2, 3, 7, 8]]], [[1], [[3, 7, 8]]]),
  ...of("AdaptiveAvgPool3d", [[2], [[1, 2, 4, 5, 6]]], [[[1, null, 3]], [[1, 2, 4, 5, 6]]]),
  ...of("AdaptiveMaxPool1d", [[4], [[2, 3, 10]]], [[4, { returnIndices: true }], [[3, 10]]]),
  ...of(
    "AdaptiveMaxPool2d",
    [[[2, 3]], [[1, 3, 7, 8]]],
    [[[2, null], { returnIndices: true }], [[1, 3, 7, 8]]],
  ),
  ...of("AdaptiveMaxPool3d", [[2, { returnIndices: true }], [[1, 2, 4, 5, 6]]]),
  ...of(
    "FractionalMaxPool2d",
    [[3, { outputSize: [5, 4] }], [[2, 3, 11, 10]]],
    [[[2, 3], { outputRatio: 0.5, returnIndices: true }], [[2, 3, 11, 10]]],
    [[2, { outputRatio: [0.5, 0.6] }], [[3, 11, 10]]],
    [[3], [[2, 3, 11, 10]], refused],
  ),
  ...of(
    "FractionalMaxPool3d",
    [[2, { outputSize: 3 }], [[1, 2, 6, 7, 8]]],
    [[2, { outputRatio: [0.5, 0.4, 0.6], returnIndices: true }], [[1, 2, 7, 7, 8]]],
  ),
  ...of("MaxUnpool1d", [[2], [[1, 1, 3], data([[0, 3, 4]], "int64")], refused]),
  ...of("MaxUnpool2d", [
    [2, { stride: 2 }],
    [
      [2, 2],
      data(
        [
          [0, 3],
          [9, 15],
        ],
        "int64",
      ),
    ],
    refused,
  ]),
];

const paddings: Case[] = [
  ...[1, 2, 3].flatMap((n) => {
    const shape = [2, 2, 5, 6, 7].slice(0, n + 2);
    const sides = [1, 2, 0, 1, 2, 1].slice(0, 2 * n);
    return [
      ...of(`ConstantPad${n}d`, [[2, 3.5], [shape]], [[sides, 0], [shape]]),
      ...each(
        [`ZeroPad${n}d`, `ReflectionPad${n}d`, `ReplicationPad${n}d`, `CircularPad${n}d`],
        [[2], [shape]],
        [[sides], [shape.slice(1)]],
      ),
    ];
  }),
  ...of("ConstantPad2d", [[[-1, 2, -2, 1], -1], [[2, 5, 6]]]),
  ...of("ReflectionPad1d", [[7], [[2, 3, 5]], refused]),
];

const normalizations: Case[] = [
  ...[1, 2, 3].flatMap((n) => {
    const shape = [4, 3, 2, 3, 2].slice(0, n === 1 ? 3 : n + 2);
    return [
      ...of(
        `BatchNorm${n}d`,
        [[3], [shape]],
        [[3], [shape], evaluated],
        [[3, { affine: false }], [shape]],
        [[3, { bias: false, eps: 0.01 }], [shape]],
        [[3, { momentum: null }], [shape]],
        [[3, { trackRunningStats: false, momentum: 0.5 }], [shape], evaluated],
        [[4], [shape], refused],
      ),
      ...of(
        `InstanceNorm${n}d`,
        [[3], [shape]],
        [[3, { affine: true }], [shape]],
        [[3, { affine: true, bias: false, eps: 0.01 }], [shape]],
        [[3, { trackRunningStats: true, momentum: 0.3 }], [shape]],
        [[3, { affine: true, trackRunningStats: true }], [shape], evaluated],
        [[3], [shape.slice(1)]],
        [[5, { affine: true }], [shape], refused],
      ),
    ];
  }),
  ...of("BatchNorm1d", [[5], [[4, 5]]], [[5], [[1, 5]], refused], [[3], [[4, 3, 2, 2]], refused]),
  ...of(
    "LayerNorm",
    [[8], [[3, 5, 8]]],
    [[[4, 6], { elementwiseAffine: false }], [[3, 4, 6]]],
    [[6, { bias: false, eps: 1e-3 }], [[3, 4, 6]]],
    [[6], [[3, 5]], refused],
  ),
  ...of(
    "GroupNorm",
    [[3, 6], [[2, 6, 4, 4]]],
    [[2, 6, { affine: false, eps: 0.1 }], [[2, 6, 5]]],
    [[6, 6, { bias: false }], [[2, 6, 5]]],
    [[4, 6], [[2, 6, 5]], refused],
  ),
  ...of(
    "RMSNorm",
    [[8], [[3, 4, 8]]],
    [[[4, 8], { eps: 1e-6 }], [[3, 4, 8]]],
    [[8, { elementwiseAffine: false }], [[3, 4, 8]]],
  ),
  ...of(
    "LocalResponseNorm",
    [[2], [[2, 6, 4, 4]]],
    [[3, { alpha: 0.1, beta: 0.5, k: 2.5 }], [[2, 6, 5]]],
    [[5], [[1, 6, 2, 3, 2]]],
  ),
  ...of("CrossMapLRN2d", [[3], [[2, 6, 4, 4]]], [[5, { alpha: 0.1, beta: 0.5, k: 2.5 }], [[2, 6, 4, 4]]]),
];

const activations: Case[] = [
  ...each(
    ["ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid"],
    [[], [[3, 7]]],
    [[{ inplace: true }], [[3, 7]], fast],
  ),
  ...each(["Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink"], [[], [[3, 7]]]),
  ...each(
    ["ELU", "CELU"],
    [[], [[3, 7]]],
    [[{ alpha: 0.7 }], [[3, 7]]],
    [[{ alpha: 2.5, inplace: true }], [[3, 7]], fast],
  ),
  ...of(
    "LeakyReLU",
    [[], [[3, 7]]],
    [[{ negativeSlope: 0.2 }], [[3, 7]]],
    [[{ inplace: true }], [[3, 7]], fast],
  ),
  ...of(
    "RReLU",
    [[], [[3, 7]]],
    [[{ lower: 0.2, upper: 0.5 }], [[3, 7]], evaluated],
    [[{ inplace: true }], [[3, 7]], fast],
  ),
  ...of("PReLU", [[], [[3, 7]]], [[{ numParameters: 4, init: 0.1 }], [[2, 4, 3]]]),
  ...of("GELU", [[], [[3, 7]]], [[{ approximate: "tanh" }], [[3, 7]]]),
  ...of("GLU", [[], [[3, 8]]], [[{ dim: 0 }], [[4, 3]]], [[], [[3, 7]], refused]),
  ...of(
    "Hardtanh",
    [[], [[3, 7]]],
    [[{ minVal: -0.5, maxVal: 0.8 }], [[3, 7]]],
    [[{ minVal: -1.5, inplace: true }], [[3, 7]], fast],
  ),
  ...of("Hardtanh", [[{ minVal: 1, maxVal: -1 }], [[3, 7]], refused]),
  ...of("Hardshrink", [[], [[3, 7]]], [[{ lambd: 0.3 }], [[3, 7]]]),
  ...of("Softshrink", [[], [[3, 7]]], [[{ lambd: 1 }], [[3, 7]]]),
  ...of("Softplus", [[], [[3, 7]]], [[{ beta: 2.5, threshold: 1.5 }], [[3, 7]]]),
  ...of("Threshold", [[0.1, 20], [[3, 7]]], [[-1, 0, { inplace: true }], [[3, 7]], fast]),
  ...each(
    ["Softmax", "LogSoftmax", "Softmin"],
    [[{ dim: 1 }], [[3, 7]]],
    [[{ dim: -2 }], [[3, 4, 5]]],
    [[], [[3, 7]]],
  ),
  ...of("Softmax2d", [[], [[2, 3, 4, 4]]], [[], [[3, 4, 4]]], [[], [[3, 4]], refused]),
];

const dropouts: Case[] = [
  ...of(
    "Dropout",
    [[], [[30, 40]]],
    [[{ p: 0.2 }], [[30, 40]]],
    [[], [[3, 4]], evaluated],
    [[{ p: 0 }], [[3, 4]]],
    [[{ p: 1 }], [[3, 4]]],
  ),
  ...of("Dropout", [[{ p: 1.2 }], [[3]], refused], [[{ inplace: true }], [[5, 5]], { noGrad: true }]),
  ...of("Dropout1d", [[], [[3, 8, 5]]], [[{ p: 0.3 }], [[8, 5]]]),
  ...of("Dropout2d", [[], [[3, 8, 5, 5]]], [[{ p: 0.3 }], [[3, 8, 5]]]),
  ...of("Dropout3d", [[], [[3, 8, 2, 2, 2]]], [[{ p: 0.3 }], [[8, 2, 2, 2]]]),
  ...of("AlphaDropout", [[], [[30, 40]]], [[{ p: 0.1 }], [[30, 40]]]),
  ...of("FeatureAlphaDropout", [[], [[5, 8, 3]]]),
];

const tables: Case[] = [
  ...of(
    "Embedding",
    [[10, 4], [integers([3, 5], 10)]],
    [[10, 4, { paddingIdx: -8 }], [integers([3, 5], 10)]],
    [[10, 4, { maxNorm: 1.5, normType: 1.5 }], [integers([6], 10)]],
    [[10, 4, { scaleGradByFreq: true }], [integers([12], 4)]],
    [[10, 4, { sparse: true }], [integers([6], 10)]],
    [[10, 4, { paddingIdx: 10 }], [integers([6], 10)], refused],
    [[10, 4], [data([[3, 11]], "int64")], refused],
  ),
  ...of(
    "EmbeddingBag",
    [
      [10, 4],
      [integers([12], 10), data([0, 3, 3, 8], "int64")],
    ],
    [[10, 4, { mode: "sum" }], [integers([3, 5], 10)]],
    [[10, 4, { mode: "max" }], [integers([3, 5], 10)]],
    [[10, 4, { mode: "max", paddingIdx: 2 }], [integers([3, 5], 10)]],
    [
      [10, 4, { includeLastOffset: true, paddingIdx: 1 }],
      [integers([12], 10), data([0, 3, 8, 12], "int64")],
    ],
    [[10, 4, { mode: "sum" }], [integers([3, 5], 10)], { options: { perSampleWeights: t([3, 5]) } }],
    [[10, 4, { maxNorm: 0.5, scaleGradByFreq: true }], [integers([3, 5], 10)]],
    [[10, 4, { mode: "sum", sparse: true }], [integers([3, 5], 10)]],
    [[10, 4], [integers([12], 10)], refused],
  ),
];

const sequence = [5, 3, 4];
const recurrent: Case[] = [
  ...each(
    ["RNN", "LSTM", "GRU"],
    [[4, 6], [sequence]],
    [[4, 6, { bias: false }], [[5, 4]]],
    [[4, 6, { numLayers: 2, batchFirst: true, bidirectional: true }], [sequence]],
    [[4, 6, { numLayers: 3, dropout: 0.4 }], [sequence]],
    [[4, 6, { numLayers: 3, dropout: 0.4 }], [sequence], evaluated],
    [[4, 6, { numLayers: 2, bidirectional: true }], [sequence], fast],
    [[4, 6], [sequence], { pack: { lengths: [5, 3, 2] } }],
    [
      [4, 6, { bidirectional: true, numLayers: 2 }],
      [[3, 5, 4]],
      { pack: { lengths: [2, 5, 4], batchFirst: true, enforceSorted: false } },
    ],
    [[4, 6, { dtype: "float64" }], [t({ normal: sequence, dtype: "float64" })]],
    [[4, 6], [[5, 3, 7]], refused],
    [[4, 6], [[4]], refused],
    [[4, 6, { dropout: 2 }], [sequence], refused],
    [[4, 0], [sequence], refused],
  ),
  ...each(
    ["RNN", "GRU"],
    [
      [4, 6],
      [sequence, [1, 3, 6]],
    ],
    [
      [4, 6, { numLayers: 2, batchFirst: true }],
      [
        [5, 4],
        [2, 6],
      ],
    ],
    [[4, 6], [sequence, [1, 2, 6]], refused],
  ),
  ...each(
    ["RNN", "GRU"],
    [
      [4, 6, { bidirectional: true }],
      [sequence, [2, 3, 6]],
      { pack: { lengths: [1, 5, 5], enforceSorted: false } },
    ],
  ),
  ...of(
    "RNN",
    [[4, 6, { nonlinearity: "relu", numLayers: 2 }], [sequence]],
    [[4, 6, { nonlinearity: "gelu" }], [sequence], refused],
  ),
  ...of(
    "LSTM",
    [
      [4, 6],
      [sequence, [t([1, 3, 6]), t([1, 3, 6])]],
    ],
    [[4, 6, { projSize: 3, bidirectional: true, numLayers: 2 }], [sequence]],
    [
      [4, 6, { projSize: 3, bias: false }],
      [sequence, [t([1, 3, 3]), t([1, 3, 6])]],
    ],
    [
      [4, 6],
      [
        [5, 4],
        [t([1, 6]), t([1, 6])],
      ],
    ],
    [
      [4, 6, { batchFirst: true }],
      [sequence, [t([1, 5, 6]), t([1, 5, 6])]],
      { pack: { lengths: [3, 1, 2, 3, 1], batchFirst: true, enforceSorted: false } },
    ],
    [[4, 6, { projSize: 6 }], [sequence], refused],
    [[4, 6], [sequence, [t([1, 3, 6]), t([1, 3, 5])]], refused],
  ),
  ...each(
    ["RNNCell", "LSTMCell", "GRUCell"],
    [[4, 5], [[3, 4]]],
    [[4, 5, { bias: false }], [[4]]],
    [[4, 5], [[3, 5]], refused],
  ),
  ...each(
    ["RNNCell", "GRUCell"],
    [
      [4, 5],
      [
        [3, 4],
        [3, 5],
      ],
    ],
    [
      [4, 5],
      [[4], [5]],
    ],
  ),
  ...of("RNNCell", [[4, 5, { nonlinearity: "relu" }], [[3, 4]]]),
  ...of(
    "LSTMCell",
    [
      [4, 5],
      [
        [3, 4],
        [t([3, 5]), t([3, 5])],
      ],
    ],
    [
      [4, 5],
      [[4], [t([5]), t([5])]],
    ],
  ),
];

const padding = data(
  [
    [0, 0, 0, 1, 1],
    [0, 0, 0, 0, 1],
  ],
  "bool",
);
const scattered = data(
  [
    [0, 1, 0, 0, 1],
    [0, 0, 0, 0, 1],
  ],
  "bool",
);
const causal = data(
  [
    [0, 1, 1, 1, 1],
    [0, 0, 1, 1, 1],
    [0, 0, 0, 1, 1],
    [0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0],
  ],
  "bool",
);
const batched = [2, 5, 8];
/** Queries, keys and values that are one tensor on both sides need one input: see the encoder layers. */
const attention: Case[] = [
  ...of(
    "MultiheadAttention",
    [
      [8, 2],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
    ],
    [[8, 2, { batchFirst: true }], [batched, batched, batched], { options: { needWeights: false } }],
    [
      [8, 4, { bias: false, dropout: 0.3 }],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
    ],
    [
      [8, 4, { dropout: 0.3 }],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
      { options: { needWeights: false } },
    ],
    [
      [8, 2, { addBiasKv: true, addZeroAttn: true }],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
    ],
    [
      [8, 2, { addBiasKv: true, batchFirst: true }],
      [batched, batched, batched],
      { options: { keyPaddingMask: padding, attnMask: causal } },
    ],
    [
      [8, 2, { kdim: 6, vdim: 5 }],
      [
        [5, 2, 8],
        [7, 2, 6],
        [7, 2, 5],
      ],
      { options: { averageAttnWeights: false } },
    ],
    [
      [8, 2, { kdim: 6, bias: false }],
      [
        [5, 8],
        [7, 6],
        [7, 8],
      ],
    ],
    [
      [8, 2],
      [
        [5, 8],
        [7, 8],
        [7, 8],
      ],
      { options: { needWeights: false } },
    ],
    [[8, 2, { batchFirst: true }], [batched, batched, batched], { options: { keyPaddingMask: padding } }],
    [
      [8, 2, { batchFirst: true }],
      [batched, batched, batched],
      { options: { attnMask: causal, isCausal: true, needWeights: false } },
    ],
    [
      [8, 2, { batchFirst: true }],
      [batched, batched, batched],
      { options: { attnMask: t([4, 5, 5]), keyPaddingMask: t([2, 5]) } },
    ],
    [
      [8, 2, { batchFirst: true }],
      [batched, batched, batched],
      { ...fast, options: { keyPaddingMask: padding } },
    ],
    [
      [8, 2],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
      { options: { isCausal: true }, ...refused },
    ],
    [
      [8, 3],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
      refused,
    ],
    [
      [8, 2],
      [
        [5, 2, 6],
        [7, 2, 8],
        [7, 2, 8],
      ],
      refused,
    ],
    [
      [8, 2],
      [
        [5, 2, 8],
        [7, 2, 8],
        [6, 2, 8],
      ],
      refused,
    ],
    [
      [8, 2],
      [
        [5, 2, 8],
        [7, 2, 8],
        [7, 2, 8],
      ],
      { options: { attnMask: t([5, 6]) }, ...refused },
    ],
  ),
  ...of(
    "TransformerEncoderLayer",
    [[8, 2, { dimFeedforward: 16 }], [[5, 2, 8]]],
    [[8, 2, { dimFeedforward: 16, normFirst: true, activation: "gelu", batchFirst: true }], [batched]],
    [[8, 2, { dimFeedforward: 16, bias: false, dropout: 0, layerNormEps: 1e-3 }], [[5, 8]]],
    [[8, 2, { dimFeedforward: 16, activation: module("Tanh") }], [[5, 2, 8]], evaluated],
    [[8, 2, { dimFeedforward: 16, activation: module("GELU"), batchFirst: true }], [batched], fast],
    [
      [8, 2, { dimFeedforward: 16, batchFirst: true }],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: padding } },
    ],
    [
      [8, 2, { dimFeedforward: 16, batchFirst: true, normFirst: true }],
      [batched],
      { ...fast, options: { srcMask: causal, srcKeyPaddingMask: scattered } },
    ],
    [
      [8, 2, { dimFeedforward: 16, batchFirst: true }],
      [batched],
      { ...fast, options: { srcMask: causal, isCausal: true } },
    ],
    [[8, 1, { dimFeedforward: 16, batchFirst: true }], [batched], { ...fast, options: { srcMask: causal } }],
    [
      [8, 2, { dimFeedforward: 16, batchFirst: true }],
      [batched],
      { options: { srcMask: causal, srcKeyPaddingMask: padding } },
    ],
    [[8, 2, { activation: "tanh" }], [batched], refused],
  ),
  ...of(
    "TransformerDecoderLayer",
    [
      [8, 2, { dimFeedforward: 16 }],
      [
        [5, 2, 8],
        [7, 2, 8],
      ],
    ],
    [
      [8, 2, { dimFeedforward: 16, normFirst: true, activation: "gelu", batchFirst: true, bias: false }],
      [batched, [2, 5, 8]],
    ],
    [
      [8, 4, { dimFeedforward: 16, batchFirst: true }],
      [batched, [2, 5, 8]],
      { ...evaluated, options: { tgtMask: causal, tgtIsCausal: true, memoryKeyPaddingMask: padding } },
    ],
    [
      [8, 2, { dimFeedforward: 16, batchFirst: true }],
      [batched, [2, 5, 8]],
      { ...fast, options: { tgtKeyPaddingMask: padding, memoryMask: causal } },
    ],
  ),
  ...of(
    "TransformerEncoder",
    [[module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16 }), 2], [[5, 2, 8]]],
    [
      [
        module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }),
        2,
        { norm: module("LayerNorm", 8) },
      ],
      [batched],
      { options: { mask: causal } },
    ],
    [
      [module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }), 2],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: padding } },
    ],
    [
      [module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }), 2],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: scattered } },
    ],
    [
      [
        module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }),
        2,
        { enableNestedTensor: false },
      ],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: padding } },
    ],
    [
      [module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true, normFirst: true }), 1],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: padding, mask: causal } },
    ],
    [
      [
        module("TransformerEncoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }),
        2,
        { maskCheck: false },
      ],
      [batched],
      { ...fast, options: { srcKeyPaddingMask: padding } },
    ],
  ),
  ...of(
    "TransformerDecoder",
    [
      [module("TransformerDecoderLayer", 8, 2, { dimFeedforward: 16 }), 2, { norm: module("LayerNorm", 8) }],
      [
        [5, 2, 8],
        [7, 2, 8],
      ],
    ],
    [
      [module("TransformerDecoderLayer", 8, 2, { dimFeedforward: 16, batchFirst: true }), 2],
      [batched, [2, 6, 8]],
      { options: { tgtMask: causal, tgtKeyPaddingMask: padding } },
    ],
  ),
  ...of(
    "Transformer",
    [
      [{ dModel: 8, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 2, dimFeedforward: 16 }],
      [
        [5, 2, 8],
        [4, 2, 8],
      ],
    ],
    [
      [
        {
          dModel: 8,
          nhead: 2,
          numEncoderLayers: 2,
          numDecoderLayers: 1,
          dimFeedforward: 16,
          batchFirst: true,
          normFirst: true,
          activation: "gelu",
          bias: false,
        },
      ],
      [batched, [2, 5, 8]],
      { options: { tgtMask: causal } },
    ],
    [
      [
        {
          dModel: 8,
          nhead: 2,
          numEncoderLayers: 2,
          numDecoderLayers: 1,
          dimFeedforward: 16,
          batchFirst: true,
        },
      ],
      [batched, [2, 5, 8]],
      { ...fast, options: { srcKeyPaddingMask: padding, memoryKeyPaddingMask: padding, tgtMask: causal } },
    ],
    [
      [{ dModel: 8, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 1, dimFeedforward: 16 }],
      [
        [5, 8],
        [4, 8],
      ],
    ],
    [
      [{ dModel: 8, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 1, dimFeedforward: 16 }],
      [
        [5, 2, 8],
        [4, 3, 8],
      ],
      refused,
    ],
  ),
];

const reductions = ["mean", "sum", "none"];
const signs = (...shape: number[]) =>
  data(
    Array.from({ length: shape[0] as number }, (_, i) =>
      Array.from({ length: shape[1] ?? 1 }, (_, j) => ((i + j) % 2 === 0 ? 1 : -1)),
    ),
  );
const losses: Case[] = reductions.flatMap((reduction) => [
  ...each(
    ["L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss"],
    [
      [{ reduction }],
      [
        [4, 5],
        [4, 5],
      ],
    ],
  ),
  ...of("SmoothL1Loss", [
    [{ reduction, beta: 0 }],
    [
      [4, 5],
      [4, 5],
    ],
  ]),
  ...of("HuberLoss", [
    [{ reduction, delta: 0.3 }],
    [
      [4, 5],
      [4, 5],
    ],
  ]),
  ...of(
    "CrossEntropyLoss",
    [[{ reduction }], [[6, 5], integers([6], 5)]],
    [[{ reduction, labelSmoothing: 0.2, ignoreIndex: 2, weight: uniform(5) }], [[6, 5], integers([6], 5)]],
    [[{ reduction }], [[2, 5, 3, 2], integers([2, 3, 2], 5)]],
    [[{ reduction, labelSmoothing: 0.1 }], [[6, 5], uniform(6, 5)]],
    [[{ reduction }], [[5], t({ integers: [], high: 5 })]],
  ),
  ...of(
    "NLLLoss",
    [[{ reduction }], [[6, 5], integers([6], 5)]],
    [[{ reduction, ignoreIndex: 1, weight: uniform(5) }], [[2, 5, 3], integers([2, 3], 5)]],
  ),
  ...of(
    "BCELoss",
    [[{ reduction }], [uniform(4, 5), uniform(4, 5)]],
    [[{ reduction, weight: uniform(5) }], [uniform(4, 5), uniform(4, 5)]],
  ),
  ...of(
    "BCEWithLogitsLoss",
    [[{ reduction }], [[4, 5], uniform(4, 5)]],
    [[{ reduction, weight: uniform(4, 5), posWeight: uniform(5) }], [[4, 5], uniform(4, 5)]],
  ),
  ...of(
    "KLDivLoss",
    [[{ reduction }], [[4, 5], uniform(4, 5)]],
    [
      [{ reduction, logTarget: true }],
      [
        [4, 5],
        [4, 5],
      ],
    ],
  ),
  ...of(
    "PoissonNLLLoss",
    [[{ reduction }], [[4, 5], uniform(4, 5)]],
    [[{ reduction, logInput: false, full: true, eps: 1e-3 }], [uniform(4, 5), uniform(4, 5)]],
  ),
  ...of(
    "GaussianNLLLoss",
    [[{ reduction }], [[4, 5], [4, 5], uniform(4, 5)]],
    [[{ reduction, full: true, eps: 0.3 }], [[4, 5], [4, 5], uniform(4, 1)]],
    [[{ reduction }], [[4, 5], [4, 5], uniform(4)]],
  ),
  ...of(
    "HingeEmbeddingLoss",
    [[{ reduction }], [[4, 5], signs(4, 5)]],
    [[{ reduction, margin: 0.3 }], [[4, 5], signs(4, 5)]],
  ),
  ...of(
    "MarginRankingLoss",
    [[{ reduction }], [[4, 5], [4, 5], signs(4, 5)]],
    [[{ reduction, margin: 0.3 }], [[4, 5], [4, 5], signs(4, 5)]],
  ),
  ...of(
    "CosineEmbeddingLoss",
    [[{ reduction }], [[4, 5], [4, 5], data([1, -1, 1, -1])]],
    [[{ reduction, margin: 0.2 }], [[5], [5], data([1])], refused],
  ),
  ...of("SoftMarginLoss", [[{ reduction }], [[4, 5], signs(4, 5)]]),
  ...of(
    "MultiMarginLoss",
    [[{ reduction }], [[6, 5], integers([6], 5)]],
    [[{ reduction, p: 2, margin: 0.5, weight: uniform(5) }], [[6, 5], integers([6], 5)]],
  ),
  ...of("MultiLabelMarginLoss", [
    [{ reduction }],
    [
      [2, 4],
      data(
        [
          [3, 0, -1, 1],
          [1, -1, 0, 0],
        ],
        "int64",
      ),
    ],
  ]),
  ...of(
    "MultiLabelSoftMarginLoss",
    [[{ reduction }], [[4, 5], uniform(4, 5)]],
    [[{ reduction, weight: uniform(5) }], [[4, 5], uniform(4, 5)]],
  ),
  ...of(
    "TripletMarginLoss",
    [
      [{ reduction }],
      [
        [4, 5],
        [4, 5],
        [4, 5],
      ],
    ],
    [
      [{ reduction, margin: 0.4, p: 1, swap: true, eps: 1e-4 }],
      [
        [4, 5],
        [4, 5],
        [4, 5],
      ],
    ],
  ),
  ...of(
    "TripletMarginWithDistanceLoss",
    [
      [{ reduction }],
      [
        [4, 5],
        [4, 5],
        [4, 5],
      ],
    ],
    [
      [{ reduction, margin: 0.4, swap: true }],
      [
        [4, 5],
        [4, 5],
        [4, 5],
      ],
    ],
  ),
  ...of(
    "CTCLoss",
    [
      [{ reduction }],
      [
        [10, 2, 6],
        data(
          [
            [1, 2, 3, 3],
            [4, 5, 1, 0],
          ],
          "int64",
        ),
        data([10, 9], "int64"),
        data([4, 3], "int64"),
      ],
    ],
    [
      [{ reduction, blank: 5, zeroInfinity: true }],
      [[4, 2, 6], data([1, 2, 3, 3, 4, 4, 1], "int64"), data([4, 3], "int64"), data([4, 3], "int64")],
    ],
  ),
]);

/** Probabilities of classes, row by row. */
const shares = (rows: number, columns: number) =>
  Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => ((i * 7 + j * 3) % columns) / 190),
  );
const chunked = (options: Record<string, unknown>) => ({
  ...options,
  options: { chunks: { batchChunkSize: 2 } },
});
const linearCrossEntropy: Case[] = reductions.flatMap((reduction) => [
  ...of(
    "LinearCrossEntropyLoss",
    [
      [8, 20, { reduction }],
      [[6, 8], integers([6], 20)],
    ],
    [
      [8, 20, { reduction, bias: true, labelSmoothing: 0.1 }],
      [[6, 8], integers([6], 20)],
    ],
    [
      [8, 10, { reduction, outFeatures: [2, 3], bias: true, ignoreIndex: 3 }],
      [[6, 8], integers([6, 2, 3], 10)],
    ],
    [
      [8, 20, { reduction, weight: uniform(20) }],
      [[8], t({ integers: [], high: 20 })],
    ],
    [
      [8, 20, { reduction }],
      [[6, 8], data(shares(6, 20))],
    ],
    [[8, 20, { reduction, labelSmoothing: 2 }], [[6, 8], integers([6], 20)], refused],
    [[8, 20, { reduction }], [[6, 7], integers([6], 20)], refused],
  ),
  ...of(
    "LinearCrossEntropyLoss",
    [
      [8, 20, chunked({ reduction, bias: true })],
      [[6, 8], integers([6], 20)],
    ],
    [
      [8, 20, chunked({ reduction, weight: uniform(20), ignoreIndex: 2 })],
      [[6, 8], integers([6], 4)],
    ],
    [
      [8, 20, chunked({ reduction, bias: true, weight: uniform(20) })],
      [[7, 8], data(shares(7, 20))],
    ],
    [
      [8, 20, chunked({ reduction })],
      [[8], t({ integers: [], high: 20 })],
    ],
  ),
]);

const others: Case[] = [
  ...of("MSELoss", [[{ reduction: "average" }], [[3], [3]], refused]),
  ...of("BCELoss", [[], [uniform(4, 5), uniform(4, 4)], refused]),
  ...of("KLDivLoss", [[{ reduction: "batchmean" }], [[4, 5], uniform(4, 5)]]),
  ...of("TripletMarginLoss", [
    [{ margin: 0 }],
    [
      [4, 5],
      [4, 5],
      [4, 5],
    ],
    refused,
  ]),
  ...of(
    "AdaptiveLogSoftmaxWithLoss",
    [
      [8, 20, [4, 10]],
      [[6, 8], integers([6], 20)],
    ],
    [
      [8, 20, [5, 10, 15], { divValue: 2, headBias: true }],
      [[6, 8], integers([6], 20)],
    ],
    [
      [8, 20, [4]],
      [[8], t({ integers: [], high: 20 })],
    ],
    [[8, 20, [10, 4]], [[6, 8], integers([6], 20)], refused],
    [[8, 20, [4, 10]], [[6, 8], integers([5], 20)], refused],
  ),
  ...of(
    "CosineSimilarity",
    [
      [],
      [
        [4, 6],
        [4, 6],
      ],
    ],
    [
      [{ dim: 0, eps: 0.1 }],
      [
        [4, 6],
        [4, 6],
      ],
    ],
  ),
  ...of(
    "PairwiseDistance",
    [
      [],
      [
        [4, 6],
        [4, 6],
      ],
    ],
    [
      [{ p: 1, keepdim: true }],
      [
        [4, 6],
        [4, 6],
      ],
    ],
    [[{ p: 3, eps: 0.1 }], [[6], [6]]],
  ),
  ...of(
    "Upsample",
    [[{ scaleFactor: 2 }], [[1, 2, 3, 4]]],
    [[{ size: 5 }], [[1, 2, 3]]],
    [[{ scaleFactor: 1.5, mode: "linear", alignCorners: true }], [[1, 2, 6]]],
    [[{ scaleFactor: [1.5, 2], mode: "bilinear" }], [[1, 2, 4, 3]]],
    [[{ size: [7, 6], mode: "bicubic", alignCorners: true }], [[1, 2, 4, 4]]],
    [[{ scaleFactor: 1.7, mode: "bilinear", recomputeScaleFactor: true }], [[1, 2, 4, 3]]],
    [[{ scaleFactor: 2, mode: "trilinear" }], [[1, 1, 2, 3, 2]]],
    [[{ scaleFactor: 2, mode: "nearest-exact" }], [[1, 2, 3, 4]]],
    [[{ scaleFactor: 0.5, mode: "area" }], [[1, 2, 6, 4]]],
    [[{ size: 5, mode: "cubic" }], [[1, 2, 3]], refused],
    [[{ scaleFactor: 2, alignCorners: true }], [[1, 2, 3]], refused],
  ),
  ...of("UpsamplingNearest2d", [[{ scaleFactor: 2 }], [[1, 2, 3, 4]]], [[{ size: [5, 6] }], [[1, 2, 3, 4]]]),
  ...of("UpsamplingBilinear2d", [[{ scaleFactor: 2 }], [[1, 2, 3, 4]]], [[{ size: 5 }], [[1, 2, 3, 4]]]),
  ...of("PixelShuffle", [[2], [[2, 8, 3, 3]]], [[2], [[2, 6, 3, 3]], refused]),
  ...of("PixelUnshuffle", [[2], [[2, 2, 6, 6]]]),
  ...of("ChannelShuffle", [[2], [[1, 6, 2, 2]]], [[4], [[1, 6, 2, 2]], refused]),
  ...of("Unfold", [[2, { stride: 2 }], [[1, 2, 4, 6]]], [[[2, 3], { dilation: 2, padding: 1 }], [[2, 4, 6]]]),
  ...of("Fold", [[[4, 6], 2, { stride: 2 }], [[1, 8, 6]]], [[[4, 5], [2, 2], { padding: 1 }], [[8, 30]]]),
  ...of(
    "Sequential",
    [
      [module("Linear", 4, 8), module("ReLU"), module("Dropout", { p: 0.2 }), module("Linear", 8, 2)],
      [[3, 4]],
    ],
    [[], [[3]]],
  ),
];

/** All cases, module by module. */
export const cases: readonly Case[] = [
  ...linear,
  ...convolutions,
  ...lazy,
  ...pooling,
  ...paddings,
  ...normalizations,
  ...activations,
  ...dropouts,
  ...tables,
  ...recurrent,
  ...attention,
  ...losses,
  ...linearCrossEntropy,
  ...others,
];

/** A case in one line. */
export function title({
  module: [name, args, options],
  mode,
  noGrad,
  pack,
  refused,
  options: how,
  inputs,
}: Case): string {
  const short = (value: unknown) => JSON.stringify(value).replaceAll(/"|\{"?tensor"?:/g, "");
  const words = [mode, noGrad && "no grad", pack && "packed", refused && "refused"].filter(Boolean);
  return `${name} ${short([...args, options])} on ${short(inputs)} ${how ? short(how) : ""} ${words.join(", ")}`.trim();
}
