"""Runs the scenarios of nn-utils.test.ts with torch.nn.utils, and writes down the tensors and texts they end with.

    python nn_utils_recorder.py OUT

Each function below is a scenario of the same name there; it yields (name, tensor or text).
"""
import json
import sys
import warnings

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, rnn

warnings.simplefilter("ignore")
torch.set_num_threads(1)


def state(module, prefix):
    for key, x in module.state_dict().items():
        yield f"{prefix}/{key}", x
    yield f"{prefix} keys", " ".join(module.state_dict())
    yield f"{prefix} prints", repr(module)


def trained(module, x):
    """The output, and the gradients of its sum of squares."""
    y = module(x)
    y.pow(2).sum().backward()
    yield "output", y
    for key, p in module.named_parameters():
        if p.grad is not None:
            yield f"gradient of {key}", p.grad


def weight_norm():
    module = parametrizations.weight_norm(nn.Linear(4, 3), dim=1)
    yield from state(module, "made")
    yield from trained(module, torch.randn(5, 4))
    module.weight = torch.ones(3, 4)
    yield from state(module, "assigned")
    parametrize.remove_parametrizations(module, "weight")
    yield from state(module, "removed")


def weight_norm_whole():
    module = parametrizations.weight_norm(nn.Conv2d(2, 3, 2), dim=None)
    yield from state(module, "made")
    yield from trained(module, torch.randn(1, 2, 4, 4))


def spectral_norm():
    module = parametrizations.spectral_norm(nn.Conv2d(2, 3, 2), n_power_iterations=2)
    yield from state(module, "made")
    yield from trained(module, torch.randn(1, 2, 4, 4))
    yield from state(module, "after")
    module.eval()
    yield "evaluated", module(torch.ones(1, 2, 4, 4))
    yield from state(module, "evaluated")


def spectral_norm_transposed():
    module = parametrizations.spectral_norm(nn.ConvTranspose1d(2, 3, 2), name="weight")
    yield from state(module, "made")
    yield from trained(module, torch.randn(1, 2, 4))


def spectral_norm_of_recurrent():
    module = parametrizations.spectral_norm(nn.LSTM(3, 4), name="weight_hh_l0")
    yield from state(module, "made")
    yield "output", module(torch.randn(2, 1, 3))[0]


def orthogonal():
    for i, (shape, kind, trivial) in enumerate([((4, 4), None, True), ((4, 2), None, True), ((2, 4), "cayley", True),
                                                ((5, 3), "matrix_exp", True), ((3, 5), "householder", False)]):
        module = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]), orthogonal_map=kind, use_trivialization=trivial)
        yield from state(module, f"{i} made")
        yield f"{i} weight", module.weight
        for name, x in trained(module, torch.randn(2, shape[1])):
            yield f"{i} {name}", x


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, x):
        return x.triu()


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def own_parametrizations():
    module = nn.Linear(3, 3)
    parametrize.register_parametrization(module, "weight", Symmetric())
    parametrize.register_parametrization(module, "weight", Doubled())
    parametrize.register_parametrization(module, "bias", Doubled())
    yield from state(module, "made")
    yield from trained(module, torch.randn(2, 3))
    parametrize.remove_parametrizations(module, "weight")
    parametrize.remove_parametrizations(module, "bias", leave_parametrized=False)
    yield from state(module, "removed")


def old_weight_norm():
    module = nn.utils.weight_norm(nn.Linear(4, 3))
    yield from state(module, "made")
    yield from trained(module, torch.randn(5, 4))
    nn.utils.remove_weight_norm(module)
    yield from state(module, "removed")


def old_spectral_norm():
    module = nn.utils.spectral_norm(nn.Conv1d(2, 3, 2))
    yield from state(module, "made")
    yield from trained(module, torch.randn(1, 2, 4))
    yield from state(module, "after")
    nn.utils.remove_spectral_norm(module)
    yield from state(module, "removed")


def pruned():
    for i, do in enumerate([
        lambda m: prune.identity(m, "weight"),
        lambda m: prune.random_unstructured(m, "weight", amount=0.3),
        lambda m: prune.random_unstructured(m, "bias", amount=1),
        lambda m: prune.l1_unstructured(m, "weight", amount=5),
        lambda m: prune.l1_unstructured(m, "weight", amount=0.5, importance_scores=torch.randn(4, 6)),
        lambda m: prune.random_structured(m, "weight", amount=2, dim=1),
        lambda m: prune.ln_structured(m, "weight", amount=0.5, n=2, dim=0),
        lambda m: prune.ln_structured(m, "weight", amount=2, n=float("inf"), dim=-1),
        lambda m: prune.custom_from_mask(m, "bias", mask=torch.tensor([0, 1, 1, 0])),
    ]):
        module = nn.Linear(6, 4)
        do(module)
        yield from state(module, f"{i} made")
        for name, x in trained(module, torch.randn(2, 6)):
            yield f"{i} {name}", x
        prune.l1_unstructured(module, "weight", amount=0.25)
        prune.ln_structured(module, "weight", amount=1, n=1, dim=0)
        yield from state(module, f"{i} twice")
        prune.remove(module, "weight")
        yield from state(module, f"{i} removed")


def pruned_globally():
    module = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    parameters = [(module[0], "weight"), (module[1], "weight")]
    prune.global_unstructured(parameters, pruning_method=prune.L1Unstructured, amount=0.3)
    yield from state(module, "first")
    prune.global_unstructured(parameters, pruning_method=prune.RandomUnstructured, amount=6)
    yield from state(module, "second")


def fused():
    pairs = [(nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), False), (nn.ConvTranspose1d(2, 3, 2), nn.BatchNorm1d(3, affine=False), True)]
    for i, (conv, norm, transpose) in enumerate(pairs):
        norm.running_mean.uniform_()
        norm.running_var.uniform_()
        fused_conv = nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval(), transpose)
        yield from state(fused_conv, f"conv {i}")
    linear, norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
    norm.running_mean.uniform_()
    norm.running_var.uniform_()
    yield from state(nn.utils.fuse_linear_bn_eval(linear.eval(), norm.eval()), "linear")


def packed():
    sequences = [torch.randn(n, 2) for n in (2, 4, 3)]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    yield "data", packed.data
    yield "batch_sizes", packed.batch_sizes
    yield "sorted_indices", packed.sorted_indices
    yield "unsorted_indices", packed.unsorted_indices
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=5)
    yield "padded", padded
    yield "lengths", lengths
    for i, x in enumerate(rnn.unpack_sequence(packed)):
        yield f"unpacked {i}", x
    yield "left", rnn.pad_sequence(sequences, padding_side="left", padding_value=9)
    for i, x in enumerate(rnn.unpad_sequence(rnn.pad_sequence(sequences), torch.tensor([2, 4, 3]))):
        yield f"unpadded {i}", x


def clipped():
    module = nn.Linear(4, 3)
    for kind in (2.0, 1.0, float("inf"), 3.0):
        module.zero_grad()
        module(torch.randn(5, 4)).pow(2).sum().backward()
        yield f"norm {kind}", nn.utils.clip_grad_norm_(module.parameters(), 0.7, norm_type=kind)
        yield f"clipped {kind}", module.weight.grad
    nn.utils.clip_grad_value_(module.parameters(), 0.01)
    yield "by value", module.weight.grad
    yield "vector", nn.utils.parameters_to_vector(module.parameters())
    nn.utils.vector_to_parameters(torch.arange(15.0), module.parameters())
    yield from state(module, "from vector")


def convolution_gradients():
    for n, name in ((1, "conv1d"), (2, "conv2d"), (3, "conv3d")):
        x, w = torch.randn(2, 4, *[5] * n), torch.randn(6, 2, *[3] * n)
        kwargs = {"stride": 2, "padding": 1, "groups": 2}
        g = torch.randn_like(getattr(nn.functional, name)(x, w, **kwargs))
        yield f"input {n}", getattr(nn.grad, name + "_input")(x.shape, w, g, **kwargs)
        yield f"weight {n}", getattr(nn.grad, name + "_weight")(x, w.shape, g, **kwargs)


def lists():
    module = nn.ParameterList([torch.randn(2), nn.Parameter(torch.randn(1, 3))])
    yield from state(module, "list")
    module = nn.ParameterDict({"a": torch.randn(2), "b": nn.Parameter(torch.randn(1, 3))})
    yield from state(module, "dict")
    module = nn.ModuleDict({"x": nn.ReLU(), "y": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 3)])})
    yield from state(module, "modules")


def adaptive_softmax():
    module = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10])
    x = torch.randn(30, 8) * 20
    yield "log_prob", module.log_prob(x)
    yield "predict", module.predict(x)


def initialised():
    init = nn.init
    for shape in ((3, 4), (5, 3), (4, 3, 2, 2)):
        for name in ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "trunc_normal_", "normal_", "uniform_"):
            yield f"{name} {shape}", getattr(init, name)(torch.empty(*shape))
    yield "kaiming", init.kaiming_normal_(torch.empty(3, 4), a=0.3, mode="fan_out", nonlinearity="leaky_relu")
    yield "trunc", init.trunc_normal_(torch.empty(40), mean=2.0, std=0.5, a=0.0, b=1.5)
    yield "trunc far", init.trunc_normal_(torch.empty(40), mean=0.0, std=1.0, a=3.0, b=4.0)
    yield "dirac", init.dirac_(torch.empty(6, 3, 3), groups=2)
    yield "eye", init.eye_(torch.empty(3, 4))
    yield "sparse", init.sparse_(torch.empty(5, 4), 0.35, std=0.2)
    yield "constant", init.constant_(torch.empty(2), 0.3)


tensors, texts = {}, {}
for scenario in (weight_norm, weight_norm_whole, spectral_norm, spectral_norm_transposed, spectral_norm_of_recurrent, orthogonal,
                 own_parametrizations, old_weight_norm, old_spectral_norm, pruned, pruned_globally, fused, packed, clipped,
                 convolution_gradients, lists, adaptive_softmax, initialised):
    torch.manual_seed(0)
    for what, x in scenario():
        where, key = (tensors, f"{scenario.__name__}/{what}") if isinstance(x, torch.Tensor) else (texts, f"{scenario.__name__}/{what}")
        where[key] = x.detach().contiguous().clone() if isinstance(x, torch.Tensor) else x
    texts[f"{scenario.__name__}/next random number"] = str(torch.rand(1).item())
save_file(tensors, sys.argv[1] + ".safetensors")
json.dump(texts, open(sys.argv[1] + ".json", "w"))
