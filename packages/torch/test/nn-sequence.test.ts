import {
  arange,
  cat,
  isGradEnabled,
  manualSeed,
  nn,
  noGrad,
  ones,
  randn,
  type Tensor,
  tensor,
  zeros,
} from "@levin/torch";
import { describe, expect, it } from "vitest";

const { packPaddedSequence, packSequence, padPackedSequence, padSequence, unpackSequence } = nn.utils.rnn;

describe("a recurrent layer", () => {
  it("gives outputs and states of the documented shapes", () => {
    const lstm = new nn.LSTM(4, 6, { numLayers: 2, bidirectional: true, projSize: 3 });
    const [output, [h, c]] = lstm.forward(randn([5, 2, 4]));
    expect([output.shape, h.shape, c.shape]).toEqual([
      [5, 2, 6],
      [4, 2, 3],
      [4, 2, 6],
    ]);
    const [single, state] = new nn.GRU(4, 6).forward(randn([5, 4]));
    expect([single.shape, state.shape]).toEqual([
      [5, 6],
      [1, 6],
    ]);
  });

  it("has its weights as fields, under PyTorch's names in the state dict", () => {
    const gru = new nn.GRU(4, 6, { bidirectional: true });
    expect(Object.keys(gru.stateDict())).toContain("weight_hh_l0_reverse");
    expect(gru.weightHhL0Reverse?.shape).toEqual([18, 6]);
    expect(gru.biasIhL0.shape).toEqual([18]);
    expect(gru.allWeights.map((list) => list.length)).toEqual([4, 4]);
  });

  it("does on packed sequences what it does on each of them", () => {
    const rnn = new nn.RNN(3, 4, { bidirectional: true });
    const sequences = [2, 5, 3].map((length) => randn([length, 3]));
    const [output, state] = rnn.forward(packSequence(sequences, { enforceSorted: false }));
    const apart = sequences.map((sequence) => rnn.forward(sequence));
    unpackSequence(output).forEach((part, i) => {
      expect(part.allclose((apart[i] as [Tensor, Tensor])[0], 1e-5, 1e-6)).toBe(true);
    });
    apart.forEach(([, own], i) => {
      expect(state.select(1, i).allclose(own, 1e-5, 1e-6)).toBe(true);
    });
  });

  it("is a chain of cells", () => {
    const lstm = new nn.LSTM(3, 4);
    const cell = new nn.LSTMCell(3, 4);
    cell.loadStateDict(
      Object.fromEntries(
        Object.entries(lstm.stateDict()).map(([key, value]) => [key.replace("_l0", ""), value]),
      ),
    );
    const input = randn([5, 2, 3]);
    let states: [Tensor, Tensor] = [zeros([2, 4]), zeros([2, 4])];
    for (const step of input) states = cell.forward(step, states);
    const [, [h, c]] = lstm.forward(input);
    expect(h.squeeze(0).allclose(states[0], 1e-5, 1e-6)).toBe(true);
    expect(c.squeeze(0).allclose(states[1], 1e-5, 1e-6)).toBe(true);
  });

  it("drops between layers in training only", () => {
    const gru = new nn.GRU(3, 4, { numLayers: 2, dropout: 0.5 });
    const input = randn([5, 2, 3]);
    expect(gru.forward(input)[0].equal(gru.forward(input)[0])).toBe(false);
    gru.eval();
    expect(gru.forward(input)[0].equal(gru.forward(input)[0])).toBe(true);
  });

  it("names what does not fit", () => {
    const lstm = new nn.LSTM(4, 6);
    expect(() => lstm.forward(randn([5, 2, 3]))).toThrow(
      "LSTM: input.size(-1) must be equal to inputSize. Expected 4, got 3.",
    );
    expect(() => lstm.forward(randn([4]))).toThrow("LSTM: expected input to be 2D or 3D, got 1D instead.");
    expect(() => lstm.forward(randn([5, 2, 4]), [zeros([1, 2, 6]), zeros([1, 2, 5])])).toThrow(
      "LSTM: expected hidden[1] size (1, 2, 6), got [1, 2, 5].",
    );
    expect(() => lstm.forward(randn([5, 2, 4]).double())).toThrow(
      "input dtype (float64) does not match weight dtype (float32)",
    );
    expect(() => new nn.GRU(4, 6, { projSize: 2 } as object)).toThrow(
      "projSize is only supported for LSTM, not for GRU.",
    );
    expect(() => new nn.RNN(4, 6, { nonlinearity: "gelu" as "relu" })).toThrow(
      'nonlinearity must be one of "tanh", "relu"',
    );
  });
});

describe("packed sequences", () => {
  it("come back as they were", () => {
    const sequences = [tensor([1, 2, 3]), tensor([4]), tensor([5, 6])];
    const packed = packSequence(sequences, { enforceSorted: false });
    expect(packed.data.toArray()).toEqual([1, 5, 4, 2, 6, 3]);
    expect(packed.batchSizes.toArray()).toEqual([3, 2, 1]);
    expect(unpackSequence(packed).map((part) => part.toArray())).toEqual([[1, 2, 3], [4], [5, 6]]);
    const [padded, lengths] = padPackedSequence(packed, { batchFirst: true, paddingValue: -1 });
    expect(padded.toArray()).toEqual([
      [1, 2, 3],
      [4, -1, -1],
      [5, 6, -1],
    ]);
    expect(lengths.toArray()).toEqual([3, 1, 2]);
  });

  it("are converted as tensors are", () => {
    const packed = packSequence([tensor([1, 2])]);
    expect(packed.to("float64").data.dtype).toBe("float64");
    expect(packed.to("float32")).toBe(packed);
  });

  it("refuse lengths that do not fit", () => {
    expect(() => packPaddedSequence(ones([3, 2, 1]), [2, 3])).toThrow("sorted");
    expect(() => padPackedSequence(packSequence([tensor([1, 2])]), { totalLength: 1 })).toThrow(
      "totalLength must be at least",
    );
    expect(() => padSequence([tensor([1])], { paddingSide: "both" as "left" })).toThrow(
      'paddingSide must be one of "right", "left"',
    );
  });
});

describe("attention", () => {
  const input = randn([2, 4, 8]);
  const padding = tensor([
    [0, 0, 0, 1],
    [0, 0, 0, 0],
  ]).bool();

  it("looks away from padding and from the future", () => {
    const attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });
    const [, weights] = attention.forward(input, input, input, { keyPaddingMask: padding });
    expect((weights as Tensor).get([0, "...", 3]).toArray()).toEqual([0, 0, 0, 0]);
    const attnMask = nn.Transformer.generateSquareSubsequentMask(4);
    const [, causal] = attention.forward(input, input, input, { attnMask });
    expect((causal as Tensor).triu(1).abs().sum().item()).toBe(0);
    const [, none] = attention.forward(input, input, input, { needWeights: false });
    expect(none).toBeNull();
  });

  it("computes the same without gradients, by another operator", () => {
    const attention = new nn.MultiheadAttention(8, 2, { batchFirst: true }).eval();
    for (const options of [{}, { keyPaddingMask: padding }, { averageAttnWeights: false }]) {
      const [slow, slowWeights] = attention.forward(input, input, input, options);
      const [fast, fastWeights] = noGrad(() => attention.forward(input, input, input, options));
      expect(fast.allclose(slow, 1e-4, 1e-5)).toBe(true);
      expect((fastWeights as Tensor).allclose(slowWeights as Tensor, 1e-4, 1e-5)).toBe(true);
    }
  });

  it("names what does not fit", () => {
    const attention = new nn.MultiheadAttention(8, 2);
    expect(() => new nn.MultiheadAttention(8, 3)).toThrow(
      "embedDim must be divisible by numHeads, but 8 is not divisible by 3.",
    );
    expect(() => attention.forward(randn([8]), randn([8]), randn([8]))).toThrow("query must be (L, N, E)");
    const x = randn([4, 2, 8]);
    expect(() => attention.forward(x, x, randn([3, 2, 8]))).toThrow(
      "value must have shape (4, 2, 8), but has (3, 2, 8).",
    );
    expect(() => attention.forward(x, x, x, { isCausal: true })).toThrow("isCausal needs attnMask as well");
    expect(() => attention.forward(x, x, x, { attnMask: ones([4, 4]).long() })).toThrow(
      "attnMask must be bool or of a floating point type",
    );
  });
});

describe("a transformer", () => {
  const layer = () => new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true });
  const padding = tensor([
    [0, 0, 1, 1],
    [0, 0, 0, 0],
  ]).bool();

  it("encodes the same without gradients, and leaves out padding", () => {
    manualSeed(0);
    const encoder = new nn.TransformerEncoder(layer(), 2).eval();
    const input = randn([2, 4, 8]);
    const slow = encoder.forward(input, { srcKeyPaddingMask: padding });
    const fast = noGrad(() => encoder.forward(input, { srcKeyPaddingMask: padding }));
    const kept = padding.logicalNot();
    expect(fast.get(kept).allclose(slow.get(kept), 1e-4, 1e-5)).toBe(true);
    expect(fast.get(padding).abs().sum().item()).toBe(0);
    expect(isGradEnabled()).toBe(true);
  });

  it("takes another way where a layer has hooks", () => {
    const encoder = layer().eval();
    let calls = 0;
    encoder.linear1.registerForwardHook(() => void calls++);
    noGrad(() => encoder.forward(randn([2, 4, 8])));
    expect(calls).toBe(1);
  });

  it("decodes one position after the other as all at once", () => {
    const decoder = new nn.TransformerDecoder(
      new nn.TransformerDecoderLayer(8, 2, { batchFirst: true }),
      2,
    ).eval();
    const memory = randn([1, 3, 8]);
    const target = randn([1, 4, 8]);
    const all = decoder.forward(target, memory, { tgtMask: nn.Transformer.generateSquareSubsequentMask(4) });
    const steps = [1, 2, 3, 4].map((length) => {
      const tgtMask = nn.Transformer.generateSquareSubsequentMask(length);
      return decoder.forward(target.narrow(1, 0, length), memory, { tgtMask }).narrow(1, length - 1, 1);
    });
    expect(cat(steps, 1).allclose(all, 1e-4, 1e-5)).toBe(true);
  });

  it("has copies of its layers that are trained apart", () => {
    const { layers } = new nn.TransformerEncoder(layer(), 2);
    expect(layers.get(0).linear1.weight.equal(layers.get(1).linear1.weight)).toBe(true);
    expect(layers.get(0).linear1.weight === layers.get(1).linear1.weight).toBe(false);
  });

  it("takes activations by name, as function and as module", () => {
    const run = (activation: nn.TransformerActivation) => {
      manualSeed(0);
      return new nn.TransformerEncoderLayer(8, 2, { activation, dropout: 0 }).forward(
        arange(16).float().view([2, 8]).div(16),
      );
    };
    expect(run("gelu").equal(run(new nn.GELU()))).toBe(true);
    expect(run("relu").equal(run((x) => x.relu()))).toBe(true);
    expect(() => run("tanh" as "relu")).toThrow('activation must be one of "relu", "gelu"');
  });

  it("names what does not fit", () => {
    const transformer = new nn.Transformer({ dModel: 8, nhead: 2, numEncoderLayers: 1, numDecoderLayers: 1 });
    expect(() => transformer.forward(randn([4, 2, 8]), randn([4, 3, 8]))).toThrow(
      "the batch number of src and tgt must be equal, but they are 2 and 3.",
    );
    expect(() => transformer.forward(randn([4, 2, 8]), randn([4, 2, 6]))).toThrow(
      "must be equal to dModel (8)",
    );
  });
});
