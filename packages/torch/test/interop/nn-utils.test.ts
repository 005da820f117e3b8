import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  arange,
  empty,
  manualSeed,
  nn,
  ones,
  rand,
  randn,
  randnLike,
  serialization,
  setNumThreads,
  type Tensor,
  tensor,
} from "@levin/torch";
import { beforeAll, describe, expect, test } from "vitest";

const { init } = nn;
const { parametrizations, parametrize, prune, rnn } = nn.utils;

/** A tensor or a text by name. */
type Item = [name: string, value: Tensor | string];
type Layer = nn.Module & { forward(input: Tensor): Tensor };

function* state(module: nn.Module, prefix: string): Generator<Item> {
  const dict = module.stateDict();
  for (const [key, value] of Object.entries(dict)) yield [`${prefix}/${key}`, value];
  yield [`${prefix} keys`, Object.keys(dict).join(" ")];
  yield [`${prefix} prints`, String(module)];
}

/** The output, and the gradients of its sum of squares. */
function* trained(module: Layer, input: Tensor): Generator<Item> {
  const output = module.forward(input);
  output.pow(2).sum().backward();
  yield ["output", output];
  for (const [key, parameter] of module.namedParameters()) {
    if (parameter.grad !== null) yield [`gradient of ${key}`, parameter.grad];
  }
}

function* prefixed(prefix: string, items: Iterable<Item>): Generator<Item> {
  for (const [name, value] of items) yield [`${prefix} ${name}`, value];
}

class Symmetric extends nn.Module {
  override forward(x: Tensor): Tensor {
    return x.triu().add(x.triu(1).transpose(-1, -2));
  }

  rightInverse(x: Tensor): Tensor {
    return x.triu();
  }
}

class Doubled extends nn.Module {
  override forward(x: Tensor): Tensor {
    return x.mul(2);
  }
}

/** The scenarios of nn_utils_recorder.py, by its names. */
const scenarios: Record<string, () => Generator<Item>> = {
  *weight_norm() {
    const module = parametrizations.weightNorm(new nn.Linear(4, 3), { dim: 1 });
    yield* state(module, "made");
    yield* trained(module, randn([5, 4]));
    Object.assign(module, { weight: ones([3, 4]) });
    yield* state(module, "assigned");
    parametrize.removeParametrizations(module, "weight");
    yield* state(module, "removed");
  },
  *weight_norm_whole() {
    const module = parametrizations.weightNorm(new nn.Conv2d(2, 3, 2), { dim: null });
    yield* state(module, "made");
    yield* trained(module, randn([1, 2, 4, 4]));
  },
  *spectral_norm() {
    const module = parametrizations.spectralNorm(new nn.Conv2d(2, 3, 2), { nPowerIterations: 2 });
    yield* state(module, "made");
    yield* trained(module, randn([1, 2, 4, 4]));
    yield* state(module, "after");
    module.eval();
    yield ["evaluated", module.forward(ones([1, 2, 4, 4]))];
    yield* state(module, "evaluated");
  },
  *spectral_norm_transposed() {
    const module = parametrizations.spectralNorm(new nn.ConvTranspose1d(2, 3, 2), { name: "weight" });
    yield* state(module, "made");
    yield* trained(module, randn([1, 2, 4]));
  },
  *spectral_norm_of_recurrent() {
    const module = parametrizations.spectralNorm(new nn.LSTM(3, 4), { name: "weightHhL0" });
    yield* state(module, "made");
    yield ["output", module.forward(randn([2, 1, 3]))[0]];
  },
  *orthogonal() {
    const rows: [number, number, nn.utils.parametrizations.OrthogonalMap | null, boolean][] = [
      [4, 4, null, true],
      [4, 2, null, true],
      [2, 4, "cayley", true],
      [5, 3, "matrix_exp", true],
      [3, 5, "householder", false],
    ];
    for (const [i, [outputs, inputs, orthogonalMap, useTrivialization]] of rows.entries()) {
      const module = parametrizations.orthogonal(new nn.Linear(inputs, outputs), {
        orthogonalMap,
        useTrivialization,
      });
      yield* state(module, `${i} made`);
      yield [`${i} weight`, module.weight];
      yield* prefixed(String(i), trained(module, randn([2, inputs])));
    }
  },
  *own_parametrizations() {
    const module = new nn.Linear(3, 3);
    parametrize.registerParametrization(module, "weight", new Symmetric());
    parametrize.registerParametrization(module, "weight", new Doubled());
    parametrize.registerParametrization(module, "bias", new Doubled());
    yield* state(module, "made");
    yield* trained(module, randn([2, 3]));
    parametrize.removeParametrizations(module, "weight");
    parametrize.removeParametrizations(module, "bias", { leaveParametrized: false });
    yield* state(module, "removed");
  },
  *old_weight_norm() {
    const module = nn.utils.weightNorm(new nn.Linear(4, 3));
    yield* state(module, "made");
    yield* trained(module, randn([5, 4]));
    nn.utils.removeWeightNorm(module);
    yield* state(module, "removed");
  },
  *old_spectral_norm() {
    const module = nn.utils.spectralNorm(new nn.Conv1d(2, 3, 2));
    yield* state(module, "made");
    yield* trained(module, randn([1, 2, 4]));
    yield* state(module, "after");
    nn.utils.removeSpectralNorm(module);
    yield* state(module, "removed");
  },
  *pruned() {
    const ways: ((module: nn.Linear) => void)[] = [
      (m) => prune.identity(m, "weight"),
      (m) => prune.randomUnstructured(m, "weight", 0.3),
      (m) => prune.randomUnstructured(m, "bias", 1),
      (m) => prune.l1Unstructured(m, "weight", 5),
      (m) => prune.l1Unstructured(m, "weight", 0.5, { importanceScores: randn([4, 6]) }),
      (m) => prune.randomStructured(m, "weight", 2, 1),
      (m) => prune.lnStructured(m, "weight", 0.5, 2, 0),
      (m) => prune.lnStructured(m, "weight", 2, Number.POSITIVE_INFINITY, -1),
      (m) => prune.customFromMask(m, "bias", tensor([0, 1, 1, 0])),
    ];
    for (const [i, way] of ways.entries()) {
      const module = new nn.Linear(6, 4);
      way(module);
      yield* state(module, `${i} made`);
      yield* prefixed(String(i), trained(module, randn([2, 6])));
      prune.l1Unstructured(module, "weight", 0.25);
      prune.lnStructured(module, "weight", 1, 1, 0);
      yield* state(module, `${i} twice`);
      prune.remove(module, "weight");
      yield* state(module, `${i} removed`);
    }
  },
  *pruned_globally() {
    const module = new nn.Sequential(new nn.Linear(4, 5), new nn.Linear(5, 3));
    const parameters = [...module].map((layer): [nn.Module, string] => [layer, "weight"]);
    prune.globalUnstructured(parameters, prune.L1Unstructured, { amount: 0.3 });
    yield* state(module, "first");
    prune.globalUnstructured(parameters, prune.RandomUnstructured, { amount: 6 });
    yield* state(module, "second");
  },
  *fused() {
    const pairs = [
      [new nn.Conv2d(2, 3, 2, { bias: false }), new nn.BatchNorm2d(3), false],
      [new nn.ConvTranspose1d(2, 3, 2), new nn.BatchNorm1d(3, { affine: false }), true],
    ] as const;
    for (const [i, [conv, norm, transpose]] of pairs.entries()) {
      norm.runningMean?.uniform_();
      norm.runningVar?.uniform_();
      yield* state(nn.utils.fuseConvBnEval(conv.eval(), norm.eval(), { transpose }), `conv ${i}`);
    }
    const linear = new nn.Linear(4, 3);
    const norm = new nn.BatchNorm1d(3);
    norm.runningMean?.uniform_();
    norm.runningVar?.uniform_();
    yield* state(nn.utils.fuseLinearBnEval(linear.eval(), norm.eval()), "linear");
  },
  *packed() {
    const sequences = [2, 4, 3].map((n) => randn([n, 2]));
    const packed = rnn.packSequence(sequences, { enforceSorted: false });
    yield ["data", packed.data];
    yield ["batch_sizes", packed.batchSizes];
    yield ["sorted_indices", packed.sortedIndices as Tensor];
    yield ["unsorted_indices", packed.unsortedIndices as Tensor];
    const [padded, lengths] = rnn.padPackedSequence(packed, {
      batchFirst: true,
      paddingValue: -1,
      totalLength: 5,
    });
    yield ["padded", padded];
    yield ["lengths", lengths];
    yield* rnn.unpackSequence(packed).map((x, i): Item => [`unpacked ${i}`, x]);
    yield ["left", rnn.padSequence(sequences, { paddingSide: "left", paddingValue: 9 })];
    yield* rnn.unpadSequence(rnn.padSequence(sequences), [2, 4, 3]).map((x, i): Item => [`unpadded ${i}`, x]);
  },
  *clipped() {
    const module = new nn.Linear(4, 3);
    const kinds: [string, number][] = [
      ["2.0", 2],
      ["1.0", 1],
      ["inf", Number.POSITIVE_INFINITY],
      ["3.0", 3],
    ];
    for (const [name, normType] of kinds) {
      module.zeroGrad();
      module
        .forward(randn([5, 4]))
        .pow(2)
        .sum()
        .backward();
      yield [`norm ${name}`, nn.utils.clipGradNorm_(module.parameters(), 0.7, { normType })];
      yield [`clipped ${name}`, module.weight.grad as Tensor];
    }
    nn.utils.clipGradValue_(module.parameters(), 0.01);
    yield ["by value", module.weight.grad as Tensor];
    yield ["vector", nn.utils.parametersToVector(module.parameters())];
    nn.utils.vectorToParameters(arange(15, { dtype: "float32" }), module.parameters());
    yield* state(module, "from vector");
  },
  *convolution_gradients() {
    const { functional, grad } = nn;
    const kinds = [
      [functional.conv1d, grad.conv1dInput, grad.conv1dWeight],
      [functional.conv2d, grad.conv2dInput, grad.conv2dWeight],
      [functional.conv3d, grad.conv3dInput, grad.conv3dWeight],
    ] as const;
    for (const [i, [conv, ofInput, ofWeight]] of kinds.entries()) {
      const field = (size: number) => Array<number>(i + 1).fill(size);
      const x = randn([2, 4, ...field(5)]);
      const w = randn([6, 2, ...field(3)]);
      const options = { stride: 2, padding: 1, groups: 2 };
      const g = randnLike(conv(x, w, { stride: field(2), padding: field(1), groups: 2 }));
      yield [`input ${i + 1}`, ofInput(x.shape, w, g, options)];
      yield [`weight ${i + 1}`, ofWeight(x, w.shape, g, options)];
    }
  },
  *lists() {
    yield* state(new nn.ParameterList([randn([2]), new nn.Parameter(randn([1, 3]))]), "list");
    yield* state(new nn.ParameterDict({ a: randn([2]), b: new nn.Parameter(randn([1, 3])) }), "dict");
    const linear = (outputs: number) => new nn.Linear(2, outputs);
    const list = new nn.ModuleList<nn.Module>([linear(2), linear(2), new nn.Tanh(), linear(3)]);
    yield* state(new nn.ModuleDict<nn.Module>({ x: new nn.ReLU(), y: list }), "modules");
  },
  *adaptive_softmax() {
    const module = new nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]);
    const x = randn([30, 8]).mul(20);
    yield ["log_prob", module.logProb(x)];
    yield ["predict", module.predict(x)];
  },
  *initialised() {
    const fill = [
      ["xavier_uniform_", init.xavierUniform_],
      ["xavier_normal_", init.xavierNormal_],
      ["kaiming_uniform_", init.kaimingUniform_],
      ["kaiming_normal_", init.kaimingNormal_],
      ["orthogonal_", init.orthogonal_],
      ["trunc_normal_", init.truncNormal_],
      ["normal_", init.normal_],
      ["uniform_", init.uniform_],
    ] as const;
    for (const shape of [
      [3, 4],
      [5, 3],
      [4, 3, 2, 2],
    ]) {
      for (const [name, fn] of fill) yield [`${name} (${shape.join(", ")})`, fn(empty(shape))];
    }
    const options = { a: 0.3, mode: "fan_out", nonlinearity: "leaky_relu" } as const;
    yield ["kaiming", init.kaimingNormal_(empty([3, 4]), options)];
    yield ["trunc", init.truncNormal_(empty([40]), { mean: 2, std: 0.5, a: 0, b: 1.5 })];
    yield ["trunc far", init.truncNormal_(empty([40]), { mean: 0, std: 1, a: 3, b: 4 })];
    yield ["dirac", init.dirac_(empty([6, 3, 3]), { groups: 2 })];
    yield ["eye", init.eye_(empty([3, 4]))];
    yield ["sparse", init.sparse_(empty([5, 4]), 0.35, { std: 0.2 })];
    yield ["constant", init.constant_(empty([2]), 0.3)];
  },
};

describe.skipIf(!process.env.LEVIN_PYTHON)("what nn.utils does to modules is what PyTorch's does", () => {
  let texts: Record<string, string> = {};
  let tensors: Record<string, Tensor> = {};

  beforeAll(() => {
    setNumThreads(1);
    const folder = mkdtempSync(join(tmpdir(), "levin-nn-utils-"));
    const out = join(folder, "recorded");
    const recorder = fileURLToPath(new URL("./nn_utils_recorder.py", import.meta.url));
    execFileSync(process.env.LEVIN_PYTHON as string, [recorder, out], { stdio: "inherit" });
    texts = JSON.parse(readFileSync(`${out}.json`, "utf8")) as Record<string, string>;
    tensors = serialization.loadSafetensors(`${out}.safetensors`) as Record<string, Tensor>;
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(Object.entries(scenarios))("%s", (scenario, run) => {
    manualSeed(0);
    const wrong: string[] = [];
    const seen = new Set<string>();
    const compare = (name: string, value: Tensor | string) => {
      const key = `${scenario}/${name}`;
      seen.add(key);
      if (typeof value === "string") {
        if (value !== texts[key]) wrong.push(`${name}: ${value}\ninstead of ${texts[key]}`);
        return;
      }
      const want = tensors[key];
      if (want === undefined) wrong.push(`${name} is not in PyTorch`);
      else if (value.dtype !== want.dtype) wrong.push(`${name}: ${value.dtype} instead of ${want.dtype}`);
      else if (value.shape.join() !== want.shape.join())
        wrong.push(`${name}: [${value.shape}] instead of [${want.shape}]`);
      else if (!value.detach().allclose(want, 1e-5, 1e-6))
        wrong.push(`${name}: ${value}\ninstead of ${want}`);
    };
    for (const [name, value] of run()) compare(name, value);
    compare("next random number", String(rand([1]).item()));
    for (const key of [...Object.keys(texts), ...Object.keys(tensors)]) {
      if (key.startsWith(`${scenario}/`) && !seen.has(key)) wrong.push(`${key} is not here`);
    }
    expect(wrong.join("\n")).toBe("");
  });
});
