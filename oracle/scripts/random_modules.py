"""Random arguments and inputs of PyTorch's modules: LAYERS, LOSSES and DROPOUTS, by the class's name.

A layer is [specification, inputs, options], a loss [inputs, keyword arguments, tensor-valued ones], a dropout [specification,
shapes of the inputs], all in the words of fixtures/numerics/cases.py.
"""
import random


class Random(random.Random):
    """Random choices; `number` is that of the case being drawn."""

    number = 0

    def __init__(self, seed):
        super().__init__(seed)
        self.turns = {}

    def int(self, low, high):
        return self.randint(low, high)

    def real(self, low, high):
        return round(self.uniform(low, high), 4)

    def chance(self, p):
        return self.random() < p

    def pick(self, *values):
        return self.choice(values)

    def some(self, **options):
        """Each of the options or not."""
        return {k: v for k, v in options.items() if self.chance(0.5)}

    def any_seed(self):
        return self.pick(0, self.int(1, 1000), self.int(0, 2**32), self.int(0, 2**63))

    def next_of(self, table):
        """A key of a table, all in turn, in a random order."""
        order = self.turns.setdefault(id(table), [])
        if not order:
            order.extend(self.sample(list(table), len(table)))
        return order.pop()

    def next_sample(self, samples):
        """The next case of a generator that draws from this source."""
        if id(samples) not in self.turns:
            self.turns[id(samples)] = samples(self)
        return next(self.turns[id(samples)])


def m(name, *args, **kwargs):
    return [name, list(args), kwargs]


def seq(*parts):
    return ["Sequential", [list(p) for p in parts], {}]


def sizes(r, dims, low=4, high=9):
    return [r.int(low, high) for _ in range(dims)]


def each(r, dims, low, high):
    """One number for all dimensions or one for each."""
    return r.int(low, high) if r.chance(0.6) else sizes(r, dims, low, high)


def batched(r, *shape):
    """A shape with a batch dimension, or without."""
    return [r.int(1, 3), *shape] if r.chance(0.8) else list(shape)


def any_shape(r, *end):
    return [*sizes(r, r.int(0, 3), 1, 4), *end]


def mode(r):
    return {"mode": r.pick("train", "eval")}


# ------------------------------------------------------------------ layers

def conv(name, dims):
    def make(r):
        groups, transposed = r.pick(1, 1, 2, 3), "Transpose" in name
        into, out = groups * r.int(1, 2), groups * r.int(1, 2)
        kwargs = r.some(stride=each(r, dims, 1, 3), padding=each(r, dims, 0, 2), dilation=each(r, dims, 1, 2), bias=r.chance(0.5))
        if transposed:
            kwargs.update(r.some(output_padding=each(r, dims, 0, 1)))
        else:
            kwargs.update(r.some(padding_mode=r.pick("zeros", "reflect", "replicate", "circular")))
            if r.chance(0.2):
                kwargs = {**kwargs, "padding": r.pick("same", "valid"), "stride": 1}
        return m(name, into, out, each(r, dims, 1, 3), groups=groups, **kwargs), [batched(r, into, *sizes(r, dims))]
    return make


def pool(name, dims):
    def make(r):
        kwargs = r.some(stride=each(r, dims, 1, 3), padding=each(r, dims, 0, 1), ceil_mode=r.chance(0.5))
        if name.startswith("Max"):
            kwargs.update(r.some(dilation=each(r, dims, 1, 2), return_indices=r.chance(0.5)))
        else:
            kwargs.update(r.some(count_include_pad=r.chance(0.5)))
            if dims > 1:
                kwargs.update(r.some(divisor_override=r.int(1, 5)))
        return m(name, each(r, dims, 2, 3), **kwargs), [batched(r, r.int(1, 3), *sizes(r, dims))]
    return make


def lp_pool(name, dims):
    return lambda r: (m(name, r.pick(1, 2, 3, 1.5), each(r, dims, 2, 3), **r.some(stride=each(r, dims, 1, 3), ceil_mode=r.chance(0.5))), [["positive", batched(r, r.int(1, 3), *sizes(r, dims))]])


def adaptive(name, dims):
    def make(r):
        size = r.int(1, 5) if r.chance(0.5) else [r.pick(None, r.int(1, 5)) for _ in range(dims)]
        if dims == 1:
            size = r.int(1, 5)
        return m(name, size, **(r.some(return_indices=True) if "Max" in name else {})), [batched(r, r.int(1, 3), *sizes(r, dims))]
    return make


def unpool(name, dims):
    def make(r):
        shape = [r.int(1, 2), r.int(1, 2), *sizes(r, dims, 2, 3)]
        return m(name, 2, **r.some(stride=2)), [shape, ["randint", 2**dims, shape]]
    return make


def batch_norm(name, dims):
    def make(r):
        channels = r.int(1, 5)
        shape = [r.int(2, 4), channels, *sizes(r, dims, 2, 4)]
        if name.endswith("1d") and r.chance(0.4):
            shape = shape[:2]
        return m(name, channels, **r.some(eps=r.pick(1e-5, 1e-3), momentum=r.pick(None, 0.3, 0.0), affine=r.chance(0.5), track_running_stats=r.chance(0.5))), [shape], mode(r)
    return make


def instance_norm(name, dims):
    def make(r):
        channels = r.int(1, 5)
        return m(name, channels, **r.some(eps=1e-3, momentum=r.pick(0.3, 1.0), affine=r.chance(0.7), track_running_stats=r.chance(0.7))), [batched(r, channels, *sizes(r, dims, 2, 4))], mode(r)
    return make


def layer_norm(name):
    def make(r):
        shape = sizes(r, r.int(1, 3), 2, 5)
        kwargs = r.some(eps=r.pick(1e-5, 1e-2), elementwise_affine=r.chance(0.7))
        if name == "LayerNorm":
            kwargs.update(r.some(bias=r.chance(0.5)))
        return m(name, shape if len(shape) > 1 or r.chance(0.5) else shape[0], **kwargs), [any_shape(r, *shape)]
    return make


def group_norm(r):
    groups = r.int(1, 3)
    channels = groups * r.int(1, 3)
    return m("GroupNorm", groups, channels, **r.some(eps=1e-3, affine=r.chance(0.5))), [[r.int(1, 3), channels, *sizes(r, r.int(0, 3), 2, 4)]]


def elementwise(name, *names, **options):
    """An activation with some of its arguments, by name or by place."""
    def make(r):
        values = {k: r.real(*v) if isinstance(v, tuple) else r.pick(*v) for k, v in options.items()}
        shape = any_shape(r, r.int(1, 9))
        if r.chance(0.3) and values:
            return m(name, *values.values()), [shape]
        return m(name, **r.some(**values)), [shape]
    return make


def over_dim(name):
    def make(r):
        shape = sizes(r, r.int(1, 4), 1, 5)
        return m(name, **({"dim": r.int(-len(shape), len(shape) - 1)} if r.chance(0.9) else {})), [shape]
    return make


def embedding(r):
    count, width = r.int(3, 12), r.int(1, 6)
    kwargs = r.some(padding_idx=r.int(-count, count - 1), max_norm=r.real(0.3, 2.0), scale_grad_by_freq=r.chance(0.5))
    if "max_norm" in kwargs:
        kwargs.update(r.some(norm_type=r.pick(1.0, 2.0, 3.0)))
    return m("Embedding", count, width, **kwargs), [["randint", count, any_shape(r, r.int(1, 5))]]


def embedding_bag(r):
    count, width, n = r.int(3, 12), r.int(1, 6), r.int(3, 12)
    kwargs = r.some(mode=r.pick("sum", "mean", "max"), padding_idx=r.int(0, count - 1), max_norm=r.real(0.3, 2.0), scale_grad_by_freq=r.chance(0.5), include_last_offset=r.chance(0.5))
    if r.chance(0.4):
        return m("EmbeddingBag", count, width, **kwargs), [["randint", count, [r.int(1, 3), n]]]
    cuts = sorted(r.int(0, n) for _ in range(r.int(0, 3)))
    offsets = [0, *cuts] + ([n] if kwargs.get("include_last_offset") else [])
    inputs = [["randint", count, [n]], ["data", offsets]]
    if kwargs.get("mode") == "sum" and r.chance(0.6):
        inputs.append([n])
    return m("EmbeddingBag", count, width, **kwargs), inputs


def recurrent(name):
    def make(r):
        width, hidden, layers, both = r.int(1, 5), r.int(2, 5), r.int(1, 3), r.chance(0.4)
        kwargs = {"num_layers": layers, "bidirectional": both, **r.some(bias=r.chance(0.5), batch_first=r.chance(0.5))}
        if name == "RNN":
            kwargs.update(r.some(nonlinearity=r.pick("tanh", "relu")))
        out = hidden
        if name == "LSTM" and r.chance(0.3):
            out = kwargs["proj_size"] = r.int(1, hidden - 1)
        time, batch = r.int(1, 6), r.int(1, 3)
        unbatched = r.chance(0.2)
        x = [time, width] if unbatched else [batch, time, width] if kwargs.get("batch_first") else [time, batch, width]
        state = [layers * (2 if both else 1), *([] if unbatched else [batch])]
        if r.chance(0.5):
            return m(name, width, hidden, **kwargs), [x]
        if name == "LSTM":
            return m(name, width, hidden, **kwargs), [x, [*state, out], [*state, hidden]], {"tuple_from": 1}
        return m(name, width, hidden, **kwargs), [x, [*state, hidden]]
    return make


def cell(name):
    def make(r):
        width, hidden = r.int(1, 5), r.int(1, 5)
        batch = [] if r.chance(0.2) else [r.int(1, 4)]
        kwargs = r.some(bias=r.chance(0.5), **({"nonlinearity": r.pick("tanh", "relu")} if name == "RNNCell" else {}))
        states = [[*batch, hidden]] * (0 if r.chance(0.3) else 2 if name == "LSTMCell" else 1)
        return m(name, width, hidden, **kwargs), [[*batch, width], *states], *([{"tuple_from": 1}] if len(states) == 2 else [])
    return make


def attention(r):
    heads = r.int(1, 3)
    width, batch, to, of = heads * r.int(1, 4), r.int(1, 3), r.int(1, 5), r.int(1, 5)
    kwargs = r.some(bias=r.chance(0.5), add_bias_kv=r.chance(0.5), add_zero_attn=r.chance(0.5), batch_first=r.chance(0.5), kdim=r.int(1, 5), vdim=r.int(1, 5))
    first = kwargs.get("batch_first")
    shape = lambda time, size: [time, size] if batch == 1 else [batch, time, size] if first else [time, batch, size]  # noqa: E731
    inputs = [shape(to, width), shape(of, kwargs.get("kdim", width)), shape(of, kwargs.get("vdim", width))]
    if r.chance(0.4):
        inputs.append(["bool", [of] if batch == 1 else [batch, of], 0.2])
    call = r.some(need_weights=r.chance(0.5), average_attn_weights=r.chance(0.5))
    return m("MultiheadAttention", width, heads, **kwargs), inputs, {**mode(r), "kwargs": call}


def encoder_layer_kwargs(r, dropout=0.0):
    return {"dropout": dropout, **r.some(activation=r.pick("relu", "gelu"), layer_norm_eps=1e-3, batch_first=r.chance(0.5), norm_first=r.chance(0.5), bias=r.chance(0.5))}


def encoder_layer(r):
    heads = r.int(1, 3)
    width, time, batch = heads * r.int(1, 4), r.int(1, 5), r.int(1, 3)
    kwargs = encoder_layer_kwargs(r)
    inputs = [[batch, time, width] if kwargs.get("batch_first") else [time, batch, width]]
    if r.chance(0.5):
        inputs.append(r.pick(["bool", [time, time], 0.1], [time, time]))
        if r.chance(0.5):
            inputs.append(["bool", [batch, time], 0.1])
    return m("TransformerEncoderLayer", width, heads, r.int(1, 9), **kwargs), inputs, mode(r)


def decoder_layer(r):
    heads = r.int(1, 3)
    width, to, of, batch = heads * r.int(1, 4), r.int(1, 5), r.int(1, 5), r.int(1, 3)
    kwargs = encoder_layer_kwargs(r)
    shape = lambda time: [batch, time, width] if kwargs.get("batch_first") else [time, batch, width]  # noqa: E731
    inputs = [shape(to), shape(of)]
    if r.chance(0.5):
        inputs += [r.pick(["bool", [to, to], 0.1], [to, to]), ["bool", [to, of], 0.1]]
    return m("TransformerDecoderLayer", width, heads, r.int(1, 9), **kwargs), inputs, mode(r)


def stacked(r):
    kind = r.pick("Encoder", "Decoder")
    spec, inputs, options = (encoder_layer if kind == "Encoder" else decoder_layer)(r)
    more = r.some(enable_nested_tensor=r.chance(0.5)) if kind == "Encoder" else {}
    return m(f"Transformer{kind}", spec, r.int(1, 3), **more), inputs, options


def transformer(r):
    heads = r.int(1, 3)
    width, batch = heads * r.int(1, 4), r.int(1, 3)
    kwargs = encoder_layer_kwargs(r)
    shape = lambda time: [batch, time, width] if kwargs.get("batch_first") else [time, batch, width]  # noqa: E731
    return (m("Transformer", d_model=width, nhead=heads, num_encoder_layers=r.int(1, 2), num_decoder_layers=r.int(1, 2), dim_feedforward=r.int(1, 9), **kwargs),
            [shape(r.int(1, 5)), shape(r.int(1, 5))], mode(r))


def upsample(r):
    kind, dims = r.pick(("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 2), ("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3))
    size = {"size": each(r, dims, 2, 9)} if r.chance(0.5) else {"scale_factor": r.real(0.5, 2.5) if r.chance(0.6) else [r.real(0.5, 2.5) for _ in range(dims)], **r.some(recompute_scale_factor=r.chance(0.5))}
    more = r.some(align_corners=r.chance(0.5)) if "linear" in kind or kind == "bicubic" else {}
    return m("Upsample", mode=kind, **size, **more), [[r.int(1, 2), r.int(1, 3), *sizes(r, dims, 2, 5)]]


def upsampling(name):
    return lambda r: (m(name, **r.pick({"size": each(r, 2, 2, 9)}, {"scale_factor": r.pick(2, 1.5)})), [[r.int(1, 2), r.int(1, 3), *sizes(r, 2, 2, 5)]])


def padding(name, dims):
    def make(r):
        low = -1 if name.startswith(("Constant", "Zero")) else 0
        amount = r.int(low, 3) if r.chance(0.3) else sizes(r, 2 * dims, low, 3)
        return m(name, amount, *([r.real(-2.0, 2.0)] if name.startswith("Constant") else [])), [batched(r, r.int(1, 3), *sizes(r, dims))]
    return make


def shuffle(name):
    def make(r):
        f, c, h, w = r.int(1, 3), r.int(1, 3), r.int(1, 4), r.int(1, 4)
        shape = {"PixelShuffle": [c * f * f, h, w], "PixelUnshuffle": [c, h * f, w * f], "ChannelShuffle": [f * c, h, w]}[name]
        return m(name, f), [[*sizes(r, 1 if name == "ChannelShuffle" else r.int(0, 2), 1, 3), *shape]]
    return make


def unfold(r):
    return m("Unfold", each(r, 2, 1, 3), **r.some(dilation=each(r, 2, 1, 2), padding=each(r, 2, 0, 2), stride=each(r, 2, 1, 3))), [batched(r, r.int(1, 3), *sizes(r, 2))]


def fold(r):
    h, w, k = r.int(2, 6), r.int(2, 6), r.int(1, 2)
    return m("Fold", [h, w], k, **r.some(padding=0)), [batched(r, r.int(1, 2) * k * k, (h - k + 1) * (w - k + 1))]


def two(name, **options):
    def make(r):
        shape = sizes(r, r.int(2, 3), 2, 6)
        kwargs = r.some(**{k: r.pick(*v) for k, v in options.items()})
        return m(name, **kwargs), [shape, shape]
    return make


def linear(r):
    width = r.int(1, 9)
    return m("Linear", width, r.int(1, 9), **r.some(bias=r.chance(0.5))), [any_shape(r, width)]


def bilinear(r):
    a, b, lead = r.int(1, 5), r.int(1, 5), sizes(r, r.int(1, 2), 1, 4)
    return m("Bilinear", a, b, r.int(1, 5), **r.some(bias=r.chance(0.5))), [[*lead, a], [*lead, b]]


def adaptive_softmax(r):
    width, classes, n = r.int(4, 9), r.int(8, 14), r.int(1, 6)
    cutoffs = sorted(r.sample(range(1, classes), r.int(1, 3)))
    return m("AdaptiveLogSoftmaxWithLoss", width, classes, cutoffs, **r.some(div_value=r.pick(2.0, 4.0), head_bias=r.chance(0.5))), [[n, width], ["randint", classes, [n]]]


def chain(r):
    width, parts = r.int(1, 8), []
    for _ in range(r.int(1, 5)):
        to = r.int(1, 8)
        parts += [m("Linear", width, to), r.pick(m("ReLU"), m("LayerNorm", to), m("Dropout", 0.0), m("GELU"), m("Identity"), m("Softmax", -1), m("BatchNorm1d", to))]
        width = to
    return seq(*parts), [[r.int(2, 4), parts[0][1][0]]], mode(r)


DIMS = [1, 2, 3]
ANY = (-2.0, 2.0)
LAYERS = {
    "Linear": linear, "Bilinear": bilinear, "Sequential": chain,
    **{f"Conv{d}d": conv(f"Conv{d}d", d) for d in DIMS}, **{f"ConvTranspose{d}d": conv(f"ConvTranspose{d}d", d) for d in DIMS},
    **{f"{k}Pool{d}d": pool(f"{k}Pool{d}d", d) for k in ("Max", "Avg") for d in DIMS}, **{f"LPPool{d}d": lp_pool(f"LPPool{d}d", d) for d in DIMS},
    **{f"Adaptive{k}Pool{d}d": adaptive(f"Adaptive{k}Pool{d}d", d) for k in ("Max", "Avg") for d in DIMS}, **{f"MaxUnpool{d}d": unpool(f"MaxUnpool{d}d", d) for d in DIMS},
    **{f"BatchNorm{d}d": batch_norm(f"BatchNorm{d}d", d) for d in DIMS}, "SyncBatchNorm": batch_norm("SyncBatchNorm", 2), **{f"InstanceNorm{d}d": instance_norm(f"InstanceNorm{d}d", d) for d in DIMS},
    "LayerNorm": layer_norm("LayerNorm"), "RMSNorm": layer_norm("RMSNorm"), "GroupNorm": group_norm,
    "LocalResponseNorm": lambda r: (m("LocalResponseNorm", r.int(1, 4), **r.some(alpha=r.real(1e-4, 0.1), beta=r.real(0.5, 1.0), k=r.real(0.5, 2.0))), [[r.int(1, 3), r.int(1, 5), *sizes(r, r.int(1, 3), 2, 4)]]),
    "CrossMapLRN2d": lambda r: (m("CrossMapLRN2d", r.int(1, 4), **r.some(alpha=r.real(1e-4, 0.1), beta=r.real(0.5, 1.0), k=r.real(0.5, 2.0))), [[r.int(1, 3), r.int(1, 5), 3, 4]]),
    **{n: elementwise(n) for n in ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Sigmoid", "LogSigmoid", "Tanh", "Hardsigmoid", "Hardswish", "Softsign", "Tanhshrink", "Identity")},
    "LeakyReLU": elementwise("LeakyReLU", negative_slope=(0.0, 1.0)), "ELU": elementwise("ELU", alpha=ANY), "CELU": elementwise("CELU", alpha=(0.1, 2.0)), "GELU": elementwise("GELU", approximate=["none", "tanh"]),
    "Hardtanh": elementwise("Hardtanh", min_val=(-2.0, -0.1), max_val=(0.0, 2.0)), "Softplus": elementwise("Softplus", beta=(0.2, 3.0), threshold=(0.5, 20.0)),
    "Softshrink": elementwise("Softshrink", lambd=(0.0, 1.0)), "Hardshrink": elementwise("Hardshrink", lambd=(0.0, 1.0)), "Threshold": elementwise("Threshold", threshold=ANY, value=ANY),
    "RReLU": lambda r: (m("RReLU", **r.some(lower=r.real(0.0, 0.2), upper=r.real(0.3, 0.6))), [any_shape(r, 5)], {"mode": "eval"}),
    "PReLU": lambda r: (lambda c: (m("PReLU", *([c] if c > 1 or r.chance(0.5) else []), **r.some(init=r.real(-1.0, 1.0))), [[r.int(1, 3), c, *sizes(r, r.int(0, 2), 1, 4)]]))(r.int(1, 4)),
    "Softmax": over_dim("Softmax"), "LogSoftmax": over_dim("LogSoftmax"), "Softmin": over_dim("Softmin"), "Softmax2d": lambda r: (m("Softmax2d"), [batched(r, 3, 2, 4)]),
    "GLU": lambda r: (m("GLU", **r.some(dim=r.pick(-1, 1))), [[3, 4, 6]]),
    "Embedding": embedding, "EmbeddingBag": embedding_bag, "RNN": recurrent("RNN"), "LSTM": recurrent("LSTM"), "GRU": recurrent("GRU"),
    "RNNCell": cell("RNNCell"), "LSTMCell": cell("LSTMCell"), "GRUCell": cell("GRUCell"),
    "MultiheadAttention": attention, "TransformerEncoderLayer": encoder_layer, "TransformerDecoderLayer": decoder_layer, "TransformerEncoder": stacked, "Transformer": transformer,
    "Upsample": upsample, "UpsamplingNearest2d": upsampling("UpsamplingNearest2d"), "UpsamplingBilinear2d": upsampling("UpsamplingBilinear2d"),
    **{f"{k}Pad{d}d": padding(f"{k}Pad{d}d", d) for k in ("Constant", "Reflection", "Replication", "Zero", "Circular") for d in DIMS},
    "PixelShuffle": shuffle("PixelShuffle"), "PixelUnshuffle": shuffle("PixelUnshuffle"), "ChannelShuffle": shuffle("ChannelShuffle"),
    "Flatten": lambda r: (m("Flatten", **r.some(start_dim=r.int(0, 2), end_dim=r.int(-2, -1))), [sizes(r, r.int(3, 5), 1, 3)]),
    "Unflatten": lambda r: (m("Unflatten", r.pick(1, -1), r.pick([2, 3], [-1, 2], [6, 1], [1, 2, 3])), [[3, 6]]),
    "Unfold": unfold, "Fold": fold, "CosineSimilarity": two("CosineSimilarity", dim=[0, 1, -1], eps=[1e-8, 0.1]), "PairwiseDistance": two("PairwiseDistance", p=[1.0, 2.0, 3.0, float(9)], eps=[1e-6, 0.1], keepdim=[True, False]),
    **{n: (lambda n: lambda r: (m(n, r.real(0.0, 0.9)), [[r.int(1, 3), r.int(1, 3), *sizes(r, {"1d": 1, "2d": 2, "3d": 3}.get(n[-2:], 2), 2, 4)]], {"mode": "eval"}))(n)
       for n in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")},
    "AdaptiveLogSoftmaxWithLoss": adaptive_softmax,
}

# ------------------------------------------------------------------ losses

def same_shape(target=None, **options):
    def make(r):
        shape = any_shape(r, r.int(1, 5))
        kwargs = r.some(**{k: r.real(*v) if isinstance(v, tuple) else r.pick(*v) for k, v in options.items()})
        return [shape if target is None or not target[0] else [target[0], shape], shape if target is None else [target[1], shape]], kwargs
    return make


def cross_entropy(r):
    classes, batch, rest = r.int(2, 6), r.int(1, 5), sizes(r, r.pick(0, 0, 1, 2), 2, 3)
    tensors = {"weight": ["positive", [classes]]} if r.chance(0.5) else {}
    kwargs = r.some(label_smoothing=r.real(0.0, 0.5))
    if r.chance(0.1):
        return [[classes], ["data", r.int(0, classes - 1)]], kwargs, tensors
    if r.chance(0.3):
        shape = [batch, classes, *rest]
        return [shape, ["softmax", shape]], kwargs, tensors
    kwargs.update(r.some(ignore_index=r.int(0, classes - 1)))
    return [[batch, classes, *rest], ["randint", classes, [batch, *rest]]], kwargs, tensors


def nll(r):
    classes, batch, rest = r.int(2, 6), r.int(1, 5), sizes(r, r.pick(0, 0, 1, 2), 2, 3)
    return [["log_softmax", [batch, classes, *rest]], ["randint", classes, [batch, *rest]]], r.some(ignore_index=r.int(0, classes - 1)), {"weight": ["positive", [classes]]} if r.chance(0.5) else {}


def bce(r):
    shape = any_shape(r, 4)
    return [["prob", shape], ["rand", shape]], {}, {"weight": ["positive", r.pick(shape, [4], [1])]} if r.chance(0.5) else {}


def bce_logits(r):
    shape = any_shape(r, 4)
    tensors = r.some(weight=["positive", r.pick(shape, [4], [1])], pos_weight=["positive", r.pick([4], [1])])
    return [shape, ["rand", shape]], {}, tensors


def ctc(r):
    time, batch, classes = r.int(6, 12), r.int(1, 3), r.int(3, 6)
    longest = r.int(1, 4)
    blank = r.pick(0, 0, classes - 1)
    labels = [[r.pick(*[c for c in range(classes) if c != blank]) for _ in range(longest)] for _ in range(batch)]
    kwargs = {"blank": blank, **r.some(zero_infinity=r.chance(0.5))}
    return [["log_softmax", [time, batch, classes]], ["data", labels], ["data", [r.int(2, time) for _ in range(batch)]], ["data", [r.int(1, longest) for _ in range(batch)]]], kwargs


def multi_margin(r):
    n, classes = r.int(1, 5), r.int(2, 5)
    return [[n, classes], ["randint", classes, [n]]], r.some(p=r.pick(1, 2), margin=r.real(0.1, 2.0)), {"weight": ["positive", [classes]]} if r.chance(0.5) else {}


def multi_label_margin(r):
    n, classes = r.int(1, 4), r.int(2, 5)
    labels = [(r.sample(range(classes), r.int(0, classes)) + [-1] * classes)[:classes] for _ in range(n)]
    return [[n, classes], ["data", labels]], {}


def multi_label_soft_margin(r):
    n, classes = r.int(1, 4), r.int(2, 5)
    return [[n, classes], ["rand", [n, classes]]], {}, {"weight": ["positive", [classes]]} if r.chance(0.5) else {}


def gaussian(r):
    shape = [r.int(1, 4), r.int(1, 5)]
    return [shape, shape, ["positive", r.pick(shape, [shape[0], 1], shape[:1])]], r.some(full=r.chance(0.5), eps=r.pick(1e-6, 0.8))


def triplet(r):
    shape = [r.int(1, 4), r.int(1, 5)]
    return [shape] * 3, r.some(margin=r.real(0.1, 2.0), p=r.pick(1, 2, 3.0), eps=1e-3, swap=r.chance(0.5))


def linear_cross_entropy(r):
    width, classes, n = r.int(1, 5), r.int(2, 6), r.int(1, 5)
    return [[n, width], ["randint", classes, [n]]], {"in_features": width, "num_classes": classes, **r.some(label_smoothing=0.1, ignore_index=1)}


def cosine_embedding(r):
    n, width = r.int(1, 4), r.int(1, 5)
    return [[n, width], [n, width], ["sign", [n]]], r.some(margin=r.real(-0.5, 0.9))


LOSSES = {
    "MSELoss": same_shape(), "L1Loss": same_shape(), "SmoothL1Loss": same_shape(beta=(0.0, 2.0)), "HuberLoss": same_shape(delta=(0.1, 2.0)),
    "CrossEntropyLoss": cross_entropy, "NLLLoss": nll, "BCELoss": bce, "BCEWithLogitsLoss": bce_logits, "CTCLoss": ctc,
    "KLDivLoss": lambda r: same_shape(("log_softmax", "log_softmax"))(r)[:1] + ({"log_target": True},) if r.chance(0.5) else same_shape(("log_softmax", "softmax"))(r),
    "HingeEmbeddingLoss": same_shape(("", "sign"), margin=(0.1, 2.0)), "SoftMarginLoss": same_shape(("", "sign")), "PoissonNLLLoss": same_shape(("positive", "positive"), log_input=[True, False], full=[True, False], eps=[1e-8, 0.1]),
    "MarginRankingLoss": lambda r: (lambda n: ([[n], [n], ["sign", [n]]], r.some(margin=r.real(-1.0, 1.0))))(r.int(1, 6)),
    "CosineEmbeddingLoss": cosine_embedding, "TripletMarginLoss": triplet, "TripletMarginWithDistanceLoss": lambda r: ([[3, 4]] * 3, r.some(margin=r.real(0.1, 2.0), swap=True)),
    "MultiMarginLoss": multi_margin, "MultiLabelMarginLoss": multi_label_margin, "MultiLabelSoftMarginLoss": multi_label_soft_margin, "GaussianNLLLoss": gaussian,
}

# ------------------------------------------------------------------ modules that draw random numbers when they are called

def plain_dropout(name, dims):
    def make(r):
        return m(name, *([r.pick(0.0, 1.0, r.real(0.0, 1.0))] if r.chance(0.8) else []), **r.some(inplace=r.chance(0.5))), [[r.int(1, 4), r.int(1, 5), *sizes(r, dims, 1, 5)]]
    return make


def recurrent_dropout(name):
    return lambda r: (m(name, 4, 3, num_layers=r.int(2, 3), dropout=r.real(0.1, 0.9), bidirectional=r.chance(0.5)), [[r.int(1, 5), r.int(1, 3), 4]])


def fractional(name, dims):
    return lambda r: (m(name, 2, **r.pick({"output_size": each(r, dims, 2, 3)}, {"output_ratio": r.real(0.4, 0.8) if r.chance(0.5) else [0.5] * dims})), [[r.int(1, 2), r.int(1, 2), *sizes(r, dims, 6, 9)]])


DROPOUTS = {
    "Dropout": plain_dropout("Dropout", 2), "Dropout1d": plain_dropout("Dropout1d", 1), "Dropout2d": plain_dropout("Dropout2d", 2), "Dropout3d": plain_dropout("Dropout3d", 3),
    "AlphaDropout": plain_dropout("AlphaDropout", 1), "FeatureAlphaDropout": plain_dropout("FeatureAlphaDropout", 2), "RReLU": lambda r: (m("RReLU", **r.some(lower=0.1, upper=r.real(0.2, 0.9))), [any_shape(r, 7)]),
    **{n: recurrent_dropout(n) for n in ("RNN", "LSTM", "GRU")}, "FractionalMaxPool2d": fractional("FractionalMaxPool2d", 2), "FractionalMaxPool3d": fractional("FractionalMaxPool3d", 3),
    "MultiheadAttention": lambda r: (m("MultiheadAttention", 8, 2, dropout=r.real(0.1, 0.9), **r.some(batch_first=True)), [[4, 2, 8]] * 3),
    "TransformerEncoderLayer": lambda r: (m("TransformerEncoderLayer", 8, 2, 6, **encoder_layer_kwargs(r, r.real(0.1, 0.9))), [[4, 2, 8]]),
    "TransformerDecoderLayer": lambda r: (m("TransformerDecoderLayer", 8, 2, 6, **encoder_layer_kwargs(r, r.real(0.1, 0.9))), [[4, 2, 8], [4, 2, 8]]),
    "Transformer": lambda r: (m("Transformer", d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=2, dim_feedforward=6, **encoder_layer_kwargs(r, 0.3)), [[4, 2, 8], [4, 2, 8]]),
    "Sequential": lambda r: (seq(m("Linear", 5, 9), m("Dropout", 0.4), m("Linear", 9, 4), m("Dropout1d", 0.5), m("AlphaDropout", 0.2)), [[3, 5]]),
}
