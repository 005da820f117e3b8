"""Random calls of PyTorch's functions: FUNCTIONS with arguments by name, PyTorch's own samples, DRAWS and AUTOCAST_CALLS as texts."""

import math
import sys
import types
import unittest

import torch
from torch.nn import functional as F
from random_modules import any_shape, sizes


def operator_samples(r):
    """Cases from the samples that PyTorch tests its operators with, as far as the files can say them: tensors first, plain values after."""
    sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))  # wanted at import, not here
    from torch.testing._internal.common_methods_invocations import op_db

    known = [(op, name) for op in op_db if (name := function_name(op.name)) is not None and op.name not in UNREPEATABLE]
    while True:
        op, name = r.choice(known)
        samples = []
        for dtype in (torch.float32, torch.int64, torch.bool):
            if dtype in op.dtypes:
                try:
                    samples += list(op.sample_inputs("cpu", dtype))
                except Exception:  # noqa: BLE001  some samples cannot be made
                    continue
        cases = [case for sample in samples if (case := case_of(sample)) is not None]
        if cases:
            inputs, kwargs = r.choice(cases)
            yield [f"{r.number}-{op.name}", name, inputs, kwargs]


# They draw random numbers, or PyTorch's tests call them with the arguments of an earlier version.
UNREPEATABLE = {"bernoulli", "multinomial", "normal", "rand_like", "randn_like", "randint_like", "randn", "randint", "empty_like", "nn.functional.rrelu", "nn.functional.embedding_bag"}
UNREPEATABLE |= {f"nn.functional.{n}" for n in ("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "fractional_max_pool2d", "fractional_max_pool3d")}


def function_name(name):
    for space, module in (("linalg", torch.linalg), ("fft", torch.fft), ("nn.functional", F)):
        if name.startswith(space + "."):
            return f"{space.replace('nn.functional', 'F')}.{name[len(space) + 1:]}"
    return f"torch.{name}" if "." not in name and not name.startswith("_") and hasattr(torch, name) else None


def case_of(sample):
    first = sample.input if isinstance(sample.input, (list, tuple)) else [sample.input]
    tensors, rest = list(first), list(sample.args)
    if first is sample.input:
        kwargs = {"*list": True}
    else:
        kwargs = {}
        while rest and isinstance(rest[0], torch.Tensor):
            tensors.append(rest.pop(0))
    inputs = [described(x) for x in tensors]
    if not inputs or None in inputs or not all(map(plain, [*rest, *sample.kwargs.values()])):
        return None
    if sample.kwargs.get("dropout_p"):
        return None
    return inputs, {**kwargs, **({"*": rest} if rest else {}), **sample.kwargs}


def described(x):
    """A tensor as `make.py` draws it, or None where its values do not fit into the files."""
    if not isinstance(x, torch.Tensor) or x.layout != torch.strided or x.numel() > 400:
        return None
    values = x.tolist()
    back = torch.tensor(values) if not x.is_complex() else None
    return ["data", values] if back is not None and back.dtype == x.dtype and back.shape == x.shape and torch.equal(back, x) else None


def plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    return value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))


# ------------------------------------------------------------------ functions by name

def dims(r, shape, **more):
    return {"dim": r.pick(r.int(-len(shape), len(shape) - 1), r.int(-len(shape), len(shape) - 1), sorted(r.sample(range(len(shape)), r.int(1, len(shape))))), **more}


def reduction(one_dim=False, **options):
    def make(r):
        shape = sizes(r, r.int(1, 4), 1, 5)
        kwargs = {} if r.chance(0.3) else dims(r, shape, **r.some(keepdim=r.chance(0.5)))
        if one_dim and isinstance(kwargs.get("dim"), list):
            kwargs["dim"] = kwargs["dim"][0]
        return [shape], {**kwargs, **r.some(**{k: r.pick(*v) for k, v in options.items()})}
    return make


def along(**options):
    def make(r):
        shape = sizes(r, r.int(1, 3), 1, 6)
        return [shape], {"dim": r.int(-len(shape), len(shape) - 1), **{k: r.pick(*v) for k, v in options.items()}}
    return make


def unary(kind=None):
    return lambda r: ([(lambda s: [kind, s] if kind else s)(any_shape(r, r.int(1, 5)))], {})


def binary(*kinds, **options):
    def make(r):
        shape = any_shape(r, r.int(1, 4))
        other = r.pick(shape, shape[-1:], [1, *shape[1:]])
        return [[kind, s] if kind else s for kind, s in zip(kinds or (None, None), (shape, other))], r.some(**{k: r.pick(*v) for k, v in options.items()})
    return make


def square():
    return lambda r: ([[*sizes(r, r.int(0, 1), 1, 3), *[r.int(1, 5)] * 2]], {})


def attention(r):
    batch, heads, to, of, width = r.int(1, 3), r.int(1, 3), r.int(1, 6), r.int(1, 6), r.int(1, 5)
    inputs = [[batch, heads, to, width], [batch, heads, of, width], [batch, heads, of, r.pick(width, 3)]]
    kwargs = r.some(scale=r.real(0.1, 2.0))
    kind = r.pick("mask", "bool", "causal", "none")
    if kind == "mask":
        inputs.append([to, of])
    elif kind == "bool":
        inputs.append(["bool", [batch, 1, to, of], 0.8])
    elif kind == "causal":
        kwargs["is_causal"] = True
    return inputs, kwargs


def interpolate(r):
    mode, n = r.pick(("nearest", 1), ("nearest", 2), ("nearest-exact", 1), ("nearest-exact", 3), ("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3), ("area", 1), ("area", 2), ("area", 3))
    how = {"size": sizes(r, n, 2, 8)} if r.chance(0.5) else {"scale_factor": r.real(0.4, 2.5), **r.some(recompute_scale_factor=r.chance(0.5))}
    more = r.some(align_corners=r.chance(0.5)) if "linear" in mode or mode == "bicubic" else {}
    if mode in ("bilinear", "bicubic"):
        more.update(r.some(antialias=r.chance(0.5)))
    return [[r.int(1, 2), r.int(1, 2), *sizes(r, n, 2, 6)]], {"mode": mode, **how, **more}


def grid_sample(r):
    n = r.pick(2, 2, 3)
    batch = r.int(1, 2)
    return [[batch, r.int(1, 2), *sizes(r, n, 2, 4)], [batch, *sizes(r, n, 1, 3), n]], r.some(mode=r.pick("bilinear", "nearest", *(["bicubic"] if n == 2 else [])), padding_mode=r.pick("zeros", "border", "reflection"), align_corners=r.chance(0.5))


def pad(r):
    shape = sizes(r, r.int(2, 5), 3, 5)
    count = r.int(1, min(3, len(shape) - 1))
    mode = r.pick("constant", "constant", "reflect", "replicate", "circular")
    amounts = sizes(r, 2 * count, -1 if mode == "constant" else 0, 2)
    return [shape], {"*": [amounts], **({} if mode == "constant" and r.chance(0.5) else {"mode": mode}), **({"value": r.real(-1.0, 1.0)} if mode == "constant" and r.chance(0.5) else {})}


def einsum(r):
    return r.pick(([[3, 4], [4, 5]], {"*first": ["ij,jk->ki"]}), ([[2, 3, 4], [2, 4]], {"*first": ["bij,bj->bi"]}), ([[4, 4]], {"*first": ["ii->i"]}), ([[4, 4]], {"*first": ["ii"]}),
                  ([[2, 3, 4], [2, 5, 4]], {"*first": ["...ij,...kj->...ik"]}), ([[3], [4], [5]], {"*first": ["i,j,k->ijk"]}), ([[2, 3], [3, 4], [4, 2]], {"*first": ["ab,bc,ca->"]}))


def index(n):
    return lambda r: ["randint", n, [r.int(1, 5)]]


FUNCTIONS = {
    **{f"torch.{n}": reduction() for n in ("sum", "mean", "amax", "amin", "nansum", "nanmean", "count_nonzero", "logsumexp")},
    **{f"torch.{n}": reduction(one_dim=True) for n in ("prod", "argmax", "argmin", "median", "nanmedian", "max", "min", "all", "any", "mode")},
    **{f"torch.{n}": reduction(correction=[0, 1, 2]) for n in ("std", "var", "std_mean", "var_mean")}, "linalg.vector_norm": reduction(ord=[0, 1, 2, 3.5, float(5)]), "torch.norm": reduction(p=[1, 2, 3, "fro"]),
    **{f"torch.{n}": along() for n in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "softmax", "log_softmax", "diff", "unbind", "aminmax")},
    **{f"F.{n}": along() for n in ("softmax", "softmin", "log_softmax", "normalize")}, "torch.sort": along(descending=[True, False], stable=[True, False]), "torch.argsort": along(descending=[True, False], stable=[True]),
    "torch.topk": lambda r: ([[3, 6]], {"k": r.int(0, 6 if r.chance(0.5) else 3), **r.some(dim=1, largest=r.chance(0.5), sorted=True)}), "torch.kthvalue": lambda r: ([[3, 6]], {"k": r.int(1, 3), **r.some(dim=r.int(-2, 1), keepdim=True)}),
    "torch.quantile": lambda r: ([[3, 6]], {"*": [r.real(0.0, 1.0)], **r.some(dim=r.int(-2, 1), keepdim=True, interpolation=r.pick("linear", "lower", "higher", "midpoint", "nearest"))}),
    "torch.unique": lambda r: ([["randint", 4, [3, 5]]], r.some(sorted=True, return_inverse=r.chance(0.7), return_counts=r.chance(0.7), dim=r.int(0, 1))),
    "torch.unique_consecutive": lambda r: ([["randint", 3, [12]]], r.some(return_inverse=r.chance(0.7), return_counts=r.chance(0.7), dim=0)),
    **{f"torch.{n}": unary() for n in ("abs", "sin", "cos", "tan", "exp", "expm1", "exp2", "erf", "erfc", "sigmoid", "tanh", "sinh", "cosh", "asinh", "atan", "floor", "ceil", "round", "trunc", "frac", "neg", "sign", "sgn", "square", "relu",
                                          "deg2rad", "rad2deg", "sinc", "i0", "isnan", "isfinite", "positive", "flipud", "ravel", "atleast_2d", "atleast_3d", "numel", "nan_to_num", "diagflat")},
    **{f"torch.{n}": unary("positive") for n in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma")}, **{f"torch.{n}": unary("prob") for n in ("asin", "acos", "atanh", "erfinv", "logit")},
    **{f"torch.{n}": binary() for n in ("mul", "div", "maximum", "minimum", "fmax", "fmin", "hypot", "copysign", "logaddexp", "logaddexp2", "eq", "ne", "lt", "le", "gt", "ge", "isclose", "float_power", "true_divide", "nextafter", "remainder", "fmod")},
    "torch.add": binary(alpha=[0.5, 2]), "torch.sub": binary(alpha=[0.5, 2]), "torch.xlogy": binary("positive", "positive"), "torch.pow": binary("positive", None), "torch.atan2": binary(), "torch.heaviside": binary(),
    "torch.clamp": lambda r: ([any_shape(r, 4)], r.pick({"min": r.real(-1.0, 0.0)}, {"max": r.real(0.0, 1.0)}, {"min": -0.3, "max": r.real(0.0, 1.0)})), "torch.lerp": lambda r: ([[3, 4], [3, 4], ["rand", [3, 4]]], {}),
    "torch.addcmul": lambda r: ([[3, 4], [3, 4], [4]], r.some(value=r.real(-1.0, 1.0))), "torch.addcdiv": lambda r: ([[3, 4], [3, 4], ["positive", [4]]], r.some(value=r.real(-1.0, 1.0))),
    "torch.where": lambda r: ([["bool", [3, 4], 0.5], [3, 4], r.pick([4], [3, 4], [])], {}), "torch.masked_select": lambda r: ([[3, 4], ["bool", [3, 4], 0.5]], {}),
    "torch.mm": lambda r: ([[3, 4], [4, 2]], {}), "torch.mv": lambda r: ([[3, 4], [4]], {}), "torch.dot": lambda r: ([[5], [5]], {}), "torch.outer": lambda r: ([[5], [3]], {}), "torch.kron": lambda r: ([[2, 3], [3, 2]], {}),
    "torch.matmul": lambda r: (r.pick([[4], [4]], [[3, 4], [4]], [[4], [4, 3]], [[2, 3, 4], [4]], [[2, 1, 3, 4], [2, 4, 5]]), {}), "torch.baddbmm": lambda r: ([[2, 3, 5], [2, 3, 4], [2, 4, 5]], r.some(beta=r.real(0.0, 1.0), alpha=r.real(0.5, 2.0))),
    "torch.addmv": lambda r: ([[3], [3, 4], [4]], r.some(beta=0.5, alpha=2.0)), "torch.addr": lambda r: ([[3, 4], [3], [4]], r.some(beta=0.5, alpha=2.0)), "torch.addbmm": lambda r: ([[3, 5], [2, 3, 4], [2, 4, 5]], r.some(beta=0.5, alpha=2.0)),
    "torch.tensordot": lambda r: r.pick(([[2, 3, 4], [3, 4, 5]], {"dims": [[1, 2], [0, 1]]}), ([[2, 3, 4], [4, 5]], {"dims": 1}), ([[2], [3]], {"dims": 0})), "torch.einsum": einsum, "torch.chain_matmul": lambda r: ([[2, 3], [3, 4], [4, 2]], {}),
    "torch.cat": lambda r: ([[2, 3], [2, 3], [2, 3]], {"*list": True, **r.some(dim=r.int(-2, 1))}), "torch.stack": lambda r: ([[2, 3], [2, 3]], {"*list": True, **r.some(dim=r.int(-3, 2))}),
    **{f"torch.{n}": (lambda r: ([[2, 3], [2, 3]], {"*list": True})) for n in ("hstack", "vstack", "dstack", "column_stack", "row_stack")}, "torch.block_diag": lambda r: ([[2, 3], [1, 2]], {}), "torch.cartesian_prod": lambda r: ([[3], [2]], {}),
    "torch.meshgrid": lambda r: ([[3], [2]], {"indexing": r.pick("ij", "xy")}), "torch.broadcast_tensors": lambda r: ([[3, 1], [2]], {}), "torch.combinations": lambda r: ([[4]], r.some(r=r.int(1, 3), with_replacement=r.chance(0.5))),
    "torch.split": lambda r: ([[6, 4]], {"*": [r.pick(2, 4, [1, 5], [2, 2, 2])], **r.some(dim=0)}), "torch.chunk": lambda r: ([[6, 4]], {"chunks": r.int(1, 5), **r.some(dim=r.int(0, 1))}), "torch.tensor_split": lambda r: ([[6, 4]], {"*": [r.pick(3, [1, 4])], **r.some(dim=0)}),
    "torch.roll": lambda r: ([[4, 3]], r.pick({"shifts": r.int(-5, 5)}, {"shifts": [1, -1], "dims": [0, 1]}, {"shifts": r.int(-5, 5), "dims": r.int(0, 1)})), "torch.flip": lambda r: ([[4, 3]], {"dims": r.pick([0], [1], [0, 1])}), "torch.rot90": lambda r: ([[4, 3]], r.some(k=r.int(-3, 3), dims=[1, 0])),
    "torch.tril": lambda r: ([[4, 5]], r.some(diagonal=r.int(-3, 3))), "torch.triu": lambda r: ([[2, 4, 5]], r.some(diagonal=r.int(-3, 3))), "torch.diag": lambda r: ([r.pick([4], [3, 4])], r.some(diagonal=r.int(-2, 2))), "torch.diagonal": lambda r: ([[3, 4, 2]], r.some(offset=r.int(-1, 1), dim1=1, dim2=2)),
    "torch.diag_embed": lambda r: ([[2, 3]], r.some(offset=r.int(-1, 1))), "torch.trace": lambda r: ([[4, 3]], {}), "torch.permute": lambda r: ([[2, 3, 4]], {"dims": r.sample(range(3), 3)}), "torch.transpose": lambda r: ([[2, 3, 4]], {"dim0": r.int(0, 2), "dim1": r.int(-3, -1)}),
    "torch.movedim": lambda r: ([[2, 3, 4]], {"*": r.pick([0, 2], [[0, 1], [2, 0]])}), "torch.squeeze": lambda r: ([[1, 3, 1]], r.pick({}, {"dim": 0}, {"dim": [0, 2]})), "torch.unsqueeze": lambda r: ([[3, 2]], {"dim": r.int(-3, 2)}), "torch.flatten": lambda r: ([[2, 3, 4]], r.some(start_dim=r.int(0, 1), end_dim=r.int(-2, -1))),
    "torch.reshape": lambda r: ([[4, 6]], {"*": [r.pick([24], [-1, 3], [2, 2, 6])]}), "torch.tile": lambda r: ([[2, 3]], {"dims": r.pick([2], [1, 2], [2, 1, 2])}), "torch.repeat_interleave": lambda r: ([[2, 3]], {"*": [r.int(1, 3)], **r.some(dim=r.int(0, 1))}), "torch.narrow": lambda r: ([[5, 3]], {"dim": 0, "start": r.int(0, 2), "length": r.int(0, 3)}),
    "torch.select": lambda r: ([[5, 3]], {"dim": r.int(0, 1), "index": r.int(-3, 2)}), "torch.unfold_copy": lambda r: ([[9]], {"dimension": 0, "size": 3, "step": r.int(1, 3)}), "torch.broadcast_to": lambda r: ([[3, 1]], {"size": [2, 3, 4]}), "torch.unflatten": lambda r: ([[3, 6]], {"dim": 1, "sizes": r.pick([2, 3], [-1, 2])}),
    "torch.take": lambda r: ([[3, 4], index(12)(r)], {}), "torch.bincount": lambda r: ([["randint", 6, [9]]], r.some(minlength=r.int(0, 9))), "torch.histc": lambda r: ([[20]], r.some(bins=r.int(1, 9), min=-1, max=1)),
    "torch.searchsorted": lambda r: ([["data", [1.0, 2.0, 3.0, 5.0]], ["positive", [4]]], r.some(right=r.chance(0.5), side=r.pick("left", "right"), out_int32=r.chance(0.5))), "torch.bucketize": lambda r: ([[4], ["data", [-1.0, 0.0, 1.0]]], r.some(right=r.chance(0.5), out_int32=r.chance(0.5))),
    "torch.cdist": lambda r: ([[3, 4], [5, 4]], r.some(p=r.pick(0.5, 1.0, 2.0, 3.0, float(0)))), "torch.cross": lambda r: ([[4, 3], [4, 3]], r.some(dim=1)), "torch.cov": lambda r: ([[3, 6]], r.some(correction=0)), "torch.corrcoef": lambda r: ([[3, 6]], {}), "torch.trapezoid": lambda r: ([[3, 6]], r.some(dx=0.5, dim=0)),
    "torch.nonzero": lambda r: ([["bool", [3, 4], 0.5]], r.some(as_tuple=True)), "torch.isin": lambda r: ([["randint", 5, [6]], ["data", [1, 3]]], r.some(invert=True, assume_unique=False)), "torch.renorm": lambda r: ([[3, 4]], {"p": r.pick(1.0, 2.0), "dim": 0, "maxnorm": r.real(0.1, 1.0)}),
    "torch.dist": lambda r: ([[3, 4], [3, 4]], r.some(p=r.pick(1.0, 2.0, 3.0))), "torch.vander": lambda r: ([["data", [1.0, 2.0, 0.5]]], r.some(N=r.int(1, 5), increasing=r.chance(0.5))), "torch.cumulative_trapezoid": lambda r: ([[3, 6]], {}), "torch.polygamma": lambda r: ([["positive", [4]]], {"*first": [r.int(0, 3)]}),
    "torch.mvlgamma": lambda r: ([["data", [3.5, 4.5, 6.0]]], {"p": r.int(1, 3)}), "torch.bitwise_and": lambda r: ([["randint", 9, [4]], ["randint", 9, [4]]], {}), "torch.logical_xor": binary(),
    **{f"linalg.{n}": square() for n in ("det", "slogdet", "inv", "qr", "svdvals", "matrix_exp", "pinv", "lu_factor", "matrix_rank", "cond", "lu", "inv_ex")}, "linalg.norm": lambda r: ([[3, 4]], r.some(ord=r.pick("fro", "nuc", 1, -1, 2, -2), keepdim=True)), "linalg.matrix_norm": lambda r: ([[2, 3, 4]], r.some(ord=r.pick("fro", "nuc", 1, 2), keepdim=True)),
    "linalg.matrix_power": lambda r: ([[3, 3]], {"n": r.int(-2, 3)}), "linalg.solve": lambda r: ([[3, 3], r.pick([3], [3, 2])], r.some(left=True)), "linalg.cross": lambda r: ([[4, 3], [4, 3]], {}), "linalg.vecdot": lambda r: ([[4, 3], [4, 3]], r.some(dim=0)), "linalg.multi_dot": lambda r: ([[2, 3], [3, 4], [4, 2]], {"*list": True}),
    "linalg.solve_triangular": lambda r: ([[3, 3], [3, 2]], {"upper": r.chance(0.5), **r.some(unitriangular=True)}), "linalg.diagonal": lambda r: ([[3, 4]], r.some(offset=1)), "linalg.vander": lambda r: ([[4]], r.some(N=3)), "linalg.lstsq": lambda r: ([[5, 3], [5, 2]], {}),
    "fft.fftshift": lambda r: ([[5, 4]], r.some(dim=r.int(0, 1))), "fft.ifftshift": lambda r: ([[5, 4]], r.some(dim=[0])), "fft.irfft": lambda r: ([[6]], r.some(n=r.int(4, 9), norm=r.pick("ortho", "forward", "backward"))), "fft.hfft": lambda r: ([[6]], r.some(n=r.int(4, 9), norm="ortho")),
    "F.scaled_dot_product_attention": attention, "F.interpolate": interpolate, "F.grid_sample": grid_sample, "F.pad": pad, "F.affine_grid": lambda r: ([[2, 2, 3]], {"size": [2, 1, 3, 4], **r.some(align_corners=r.chance(0.5))}),
    "F.layer_norm": lambda r: ([[3, 6]], {"normalized_shape": [6], **r.some(eps=0.1)}), "F.rms_norm": lambda r: ([[3, 6]], {"normalized_shape": [6], **r.some(eps=0.1)}), "F.group_norm": lambda r: ([[2, 6, 3]], {"num_groups": r.pick(1, 2, 3), **r.some(eps=0.1)}),
    "F.instance_norm": lambda r: ([[2, 3, 5]], r.some(eps=0.1)), "F.local_response_norm": lambda r: ([[2, 6, 4]], {"size": r.int(1, 4), **r.some(alpha=0.1, beta=0.5, k=2.0)}), "F.batch_norm": lambda r: ([[4, 3, 2]], {"*": [None, None], "training": True, **r.some(eps=0.1)}),
    "F.linear": lambda r: ([[3, 4], [2, 4], *([[2]] if r.chance(0.5) else [])], {}), "F.bilinear": lambda r: ([[3, 4], [3, 2], [5, 4, 2]], {}), "F.embedding": lambda r: ([["randint", 5, [3]], [5, 2]], r.some(padding_idx=r.int(-5, 4), scale_grad_by_freq=r.chance(0.5))), "F.embedding_bag": lambda r: ([["randint", 5, [3, 4]], [5, 2]], r.some(mode=r.pick("sum", "mean", "max"), padding_idx=1)),
    "F.conv1d": lambda r: ([[2, 4, 9], [6, 2, 3], *([[6]] if r.chance(0.5) else [])], {"groups": 2, **r.some(stride=r.int(1, 3), padding=r.int(0, 2), dilation=r.int(1, 2))}), "F.conv2d": lambda r: ([[2, 3, 7, 8], [4, 3, 3, 2]], r.some(stride=r.pick(2, [1, 2]), padding=r.pick(1, "valid", [0, 2]), dilation=r.int(1, 2))),
    "F.conv3d": lambda r: ([[1, 2, 4, 5, 4], [3, 2, 2, 2, 2]], r.some(stride=2, padding=1)), "F.conv_transpose1d": lambda r: ([[2, 3, 5], [3, 2, 3]], r.some(stride=r.int(1, 3), padding=1, dilation=2)), "F.conv_transpose2d": lambda r: ([[2, 4, 4, 5], [4, 1, 3, 3]], {"groups": 2, **r.some(stride=2, padding=1)}), "F.conv_tbc": lambda r: ([[5, 2, 3], [3, 3, 4], [4]], r.some(pad=1)),
    "F.unfold": lambda r: ([[2, 3, 5, 6]], {"kernel_size": r.pick(2, [2, 3]), **r.some(stride=2, padding=1, dilation=r.pick(1, 2))}), "F.fold": lambda r: ([[2, 12, 12]], {"output_size": [4, 5], "kernel_size": 2}), "F.pixel_shuffle": lambda r: ([[2, 8, 2, 3]], {"upscale_factor": 2}), "F.pixel_unshuffle": lambda r: ([[2, 2, 4, 6]], {"downscale_factor": 2}), "F.channel_shuffle": lambda r: ([[2, 6, 3, 2]], {"groups": 3}),
    **{f"F.{k}_pool{d}d": (lambda d: lambda r: ([[2, 3, *sizes(r, d, 5, 8)]], {"kernel_size": r.int(2, 3), **r.some(stride=r.int(1, 3), padding=1, ceil_mode=r.chance(0.5))}))(d) for k in ("max", "avg") for d in (1, 2, 3)}, **{f"F.adaptive_{k}_pool{d}d": (lambda d: lambda r: ([[2, 3, *sizes(r, d, 5, 8)]], {"output_size": r.int(1, 4)}))(d) for k in ("max", "avg") for d in (1, 2, 3)},
    **{f"F.lp_pool{d}d": (lambda d: lambda r: ([["positive", [2, 3, *sizes(r, d, 5, 8)]]], {"norm_type": r.pick(1.0, 2.0, 3.0), "kernel_size": 2, **r.some(stride=1, ceil_mode=True)}))(d) for d in (1, 2, 3)},
    **{f"F.{n}": unary() for n in ("relu", "relu6", "selu", "silu", "mish", "logsigmoid", "hardswish", "hardsigmoid", "softsign", "tanhshrink", "sigmoid", "tanh")}, "F.gelu": lambda r: ([any_shape(r, 4)], r.some(approximate=r.pick("none", "tanh"))), "F.elu": lambda r: ([any_shape(r, 4)], r.some(alpha=r.real(0.1, 2.0))), "F.celu": lambda r: ([any_shape(r, 4)], r.some(alpha=r.real(0.1, 2.0))),
    "F.leaky_relu": lambda r: ([any_shape(r, 4)], r.some(negative_slope=r.real(0.0, 1.0))), "F.hardtanh": lambda r: ([any_shape(r, 4)], r.some(min_val=-0.5, max_val=0.3)), "F.softplus": lambda r: ([any_shape(r, 4)], r.some(beta=r.real(0.5, 2.0), threshold=r.real(0.5, 20.0))), "F.threshold": lambda r: ([any_shape(r, 4)], {"threshold": 0.1, "value": r.real(-1.0, 1.0)}), "F.prelu": lambda r: ([[2, 3, 4], r.pick([1], [3])], {}),
    "F.softshrink": lambda r: ([any_shape(r, 4)], r.some(lambd=0.3)), "F.hardshrink": lambda r: ([any_shape(r, 4)], r.some(lambd=0.3)), "F.glu": lambda r: ([[3, 4, 6]], r.some(dim=r.pick(1, -1))), "F.one_hot": lambda r: ([["randint", 5, any_shape(r, 3)]], r.some(num_classes=r.int(5, 7))), "F.pdist": lambda r: ([[5, 3]], r.some(p=r.pick(1.0, 2.0, 3.0))),
    "F.cosine_similarity": lambda r: ([[3, 4], [3, 4]], r.some(dim=0, eps=0.1)), "F.pairwise_distance": lambda r: ([[3, 4], [3, 4]], r.some(p=1.0, eps=0.1, keepdim=True)),
    "F.cross_entropy": lambda r: ([[4, 5], ["randint", 5, [4]], *([["positive", [5]]] if r.chance(0.5) else [])], r.some(reduction=r.pick("none", "sum", "mean"), label_smoothing=0.2, ignore_index=2)), "F.nll_loss": lambda r: ([["log_softmax", [4, 5]], ["randint", 5, [4]]], r.some(reduction=r.pick("none", "sum"), ignore_index=2)),
    "F.binary_cross_entropy": lambda r: ([["prob", [4, 5]], ["rand", [4, 5]]], r.some(reduction=r.pick("none", "sum"))), "F.binary_cross_entropy_with_logits": lambda r: ([[4, 5], ["rand", [4, 5]]], r.some(reduction=r.pick("none", "sum"))), "F.mse_loss": lambda r: ([[4, 5], [4, 5]], r.some(reduction=r.pick("none", "sum"))),
    "F.l1_loss": lambda r: ([[4, 5], [4, 5]], r.some(reduction=r.pick("none", "sum"))), "F.smooth_l1_loss": lambda r: ([[4, 5], [4, 5]], r.some(reduction=r.pick("none", "sum"), beta=0.5)), "F.huber_loss": lambda r: ([[4, 5], [4, 5]], r.some(reduction=r.pick("none", "sum"), delta=0.5)), "F.kl_div": lambda r: ([["log_softmax", [4, 5]], ["softmax", [4, 5]]], r.some(reduction=r.pick("none", "sum", "batchmean"))),
    "F.poisson_nll_loss": lambda r: ([[4, 5], ["positive", [4, 5]]], r.some(full=r.chance(0.5), log_input=r.chance(0.5), reduction="none")), "F.gaussian_nll_loss": lambda r: ([[4, 5], [4, 5], ["positive", [4, 5]]], r.some(full=r.chance(0.5), reduction="none")), "F.soft_margin_loss": lambda r: ([[4, 5], ["sign", [4, 5]]], r.some(reduction="none")), "F.hinge_embedding_loss": lambda r: ([[4, 5], ["sign", [4, 5]]], r.some(margin=0.5)),
    "F.margin_ranking_loss": lambda r: ([[4], [4], ["sign", [4]]], r.some(margin=0.5, reduction="sum")), "F.cosine_embedding_loss": lambda r: ([[4, 5], [4, 5], ["sign", [4]]], r.some(margin=0.5, reduction="none")), "F.triplet_margin_loss": lambda r: ([[4, 5]] * 3, r.some(margin=0.5, p=1, swap=True, reduction="none")), "F.multi_margin_loss": lambda r: ([[4, 5], ["randint", 5, [4]]], r.some(p=2, margin=0.5, reduction="none")),
    "F.multilabel_soft_margin_loss": lambda r: ([[4, 5], ["rand", [4, 5]]], r.some(reduction="none")),
}

# ------------------------------------------------------------------ draws

FLOATS = ["torch.float32", "torch.float64", "torch.float16", "torch.bfloat16"]
INTS = ["torch.uint8", "torch.int8", "torch.int16", "torch.int32", "torch.int64"]


def shape_text(r):
    return r.pick("()", f"({r.int(0, 70)},)", f"({r.int(1, 9)}, {r.int(1, 9)})", f"({r.int(1, 4)}, {r.int(1, 4)}, {r.int(1, 5)})", f"({r.pick(15, 16, 17, 31, 32, 33, 1000)},)")


def of_type(r, types, p=0.5):
    return f", dtype={r.pick(*types)}" if r.chance(p) else ""


def target(r, types=FLOATS):
    """A tensor to be filled: whole, transposed, strided, or a part of one."""
    made = f"torch.zeros({{}}{of_type(r, types)})"
    return r.pick(made.format(shape_text(r)), made.format(f"({r.int(2, 9)}, {r.int(2, 9)})") + ".t()", made.format("(8, 9)") + "[1:, ::2]", made.format("(40,)") + "[::2]", made.format("(3, 4, 5)") + ".permute(2, 0, 1)", made.format("(6, 7)") + "[2]")


def method(name, arguments, types=FLOATS):
    return lambda r: f"{target(r, types)}.{name}({arguments(r)})"


DRAWS = {
    "rand": lambda r: f"torch.rand({shape_text(r)}{of_type(r, FLOATS)})", "randn": lambda r: f"torch.randn({shape_text(r)}{of_type(r, FLOATS)})", "randn complex": lambda r: f"torch.view_as_real(torch.randn({shape_text(r)}, dtype=torch.complex64))",
    "rand complex": lambda r: f"torch.view_as_real(torch.rand({shape_text(r)}, dtype=torch.complex128))", "randint": lambda r: f"torch.randint({r.pick('', str(-r.int(0, 9)) + ', ')}{r.int(1, 120)}, {shape_text(r)}{of_type(r, INTS + FLOATS)})",
    "randint big": lambda r: f"torch.randint({r.int(-2**62, 0)}, {r.int(1, 2**62)}, {shape_text(r)})", "randperm": lambda r: f"torch.randperm({r.pick(0, 1, r.int(2, 300), 50000, 70000)}{of_type(r, INTS[3:] + FLOATS[:2])})[:60]", "bernoulli": lambda r: f"torch.bernoulli(torch.full({shape_text(r)}, {r.real(0.0, 1.0)}{of_type(r, FLOATS)}))",
    "bernoulli p": lambda r: f"torch.bernoulli(torch.zeros({shape_text(r)}), {r.real(0.0, 1.0)})", "bernoulli of rand": lambda r: "torch.bernoulli(torch.rand(4, 5))", "multinomial": lambda r: f"torch.multinomial(torch.rand({r.pick('6', '3, 6', '2, 50')}{of_type(r, FLOATS[:2])}), {r.int(1, 6)}{r.pick('', ', replacement=True', ', replacement=False')})",
    "normal floats": lambda r: f"torch.normal({r.real(-2.0, 2.0)}, {r.real(0.1, 3.0)}, {shape_text(r)})", "normal mean tensor": lambda r: f"torch.normal(torch.arange({r.int(1, 30)}.0), {r.real(0.1, 3.0)})", "normal std tensor": lambda r: f"torch.normal({r.real(0.0, 1.0)}, torch.arange(1.0, {r.int(2, 30)}.0))", "normal tensors": lambda r: "torch.normal(torch.zeros(3, 1), torch.ones(4))",
    "poisson": lambda r: f"torch.poisson(torch.full({shape_text(r)}, {r.real(0.1, 40.0)}{of_type(r, FLOATS[:2])}))", "binomial": lambda r: f"torch.binomial(torch.full((12,), {float(r.int(1, 50))}), torch.full((12,), {r.real(0.0, 1.0)}))",
    "rand_like": lambda r: f"torch.rand_like({target(r)})", "randn_like": lambda r: f"torch.randn_like({target(r)})", "randint_like": lambda r: f"torch.randint_like({target(r, FLOATS + INTS)}, {r.int(1, 100)})",
    "normal_": method("normal_", lambda r: r.pick("", f"{r.real(-1.0, 1.0)}, {r.real(0.1, 2.0)}", f"std={r.real(0.1, 2.0)}")), "uniform_": method("uniform_", lambda r: r.pick("", f"{r.real(-2.0, 0.0)}, {r.real(0.1, 2.0)}")), "exponential_": method("exponential_", lambda r: r.pick("", f"{r.real(0.1, 3.0)}", "lambd=0.5")),
    "cauchy_": method("cauchy_", lambda r: r.pick("", "1.0, 0.5", "sigma=2.0")), "log_normal_": method("log_normal_", lambda r: r.pick("", "0.5, 0.25", "mean=0.0, std=0.5")), "geometric_": method("geometric_", lambda r: f"{r.real(0.05, 0.95)}", FLOATS + INTS[1:]), "bernoulli_": method("bernoulli_", lambda r: r.pick("", f"{r.real(0.0, 1.0)}", "p=0.2"), FLOATS + INTS),
    "random_": method("random_", lambda r: r.pick("", f"{r.int(1, 120)}", f"{r.int(-100, 0)}, {r.int(1, 100)}"), FLOATS + INTS), "bernoulli_ tensor": lambda r: "torch.zeros(3, 5).bernoulli_(torch.linspace(0.0, 1.0, 5))",
    "F.dropout": lambda r: f"F.dropout(torch.ones({shape_text(r)}{of_type(r, FLOATS)}), {r.real(0.0, 1.0)})", "F.alpha_dropout": lambda r: f"F.alpha_dropout(torch.ones({shape_text(r)}), {r.real(0.0, 0.9)}, training=True)", "F.dropout2d": lambda r: f"F.dropout2d(torch.ones(3, 4, 2, 2), p={r.real(0.0, 0.9)})", "F.rrelu": lambda r: "F.rrelu(torch.linspace(-2.0, 2.0, 21), training=True)",
    "F.gumbel_softmax": lambda r: f"F.gumbel_softmax(torch.linspace(-2.0, 2.0, 12).view(3, 4), tau={r.real(0.5, 2.0)}, hard={r.chance(0.5)})", "F.feature_alpha_dropout": lambda r: "F.feature_alpha_dropout(torch.ones(3, 4, 2), 0.5, training=True)", "generator": lambda r: f"torch.rand({shape_text(r)}, generator=torch.Generator().manual_seed({r.int(0, 10**6)}))",
    "generator randperm": lambda r: f"torch.randperm({r.int(1, 99)}, generator=torch.Generator().manual_seed({r.int(0, 10**6)}))", "sdpa dropout": lambda r: "F.scaled_dot_product_attention(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), torch.linspace(0.0, 1.0, 24).view(1, 2, 3, 4), dropout_p=0.5)",
}

# ------------------------------------------------------------------ calls under autocast: a is (4, 4), m (1, 2, 8, 8), w (3, 2, 3, 3)

UNARY = "abs acos acosh asin atan ceil cos cosh digamma erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc".split()
ONES = "sum mean prod std var norm amax median argmax logsumexp cumsum cumprod softmax log_softmax sort topk".split()
LINALG = "cholesky det eigvalsh inv pinv qr svd slogdet matrix_norm vector_norm matrix_exp lu_factor".split()
BINARY = ["a + a", "a - a.float()", "a * a.float()", "a / a", "a @ a.float()", "a.float() @ a", "a ** 2", "a > a", "a + 1", "a * 2.5", "a % 2", "-a", "torch.dot(a[0], a[0])", "torch.mv(a, a[0])", "torch.outer(a[0], a[0])", "torch.ger(a[0], a[0])", "torch.baddbmm(a[None], a[None], a[None])",
          "torch.addbmm(a, a[None], a[None])", "torch.addmv(a[0], a, a[0])", "torch.addr(a, a[0], a[0])", "torch.chain_matmul(a, a, a)", "torch.tensordot(a, a, 1)", "torch.einsum('ij,kj->ik', a, a)", "torch.kron(a, a)", "torch.cdist(a, a)", "torch.cross(a[:, :3], a[:, :3], dim=1)", "torch.bilinear(a, a, a[None], None)",
          "torch.stack([a, a.float()])", "torch.cat([a, a.half()])", "torch.where(a > 0, a, a.float())", "torch.addcmul(a, a.float(), a)", "torch.addcdiv(a, a, a.float())", "torch.atan2(a, a.float())", "torch.lerp(a, a, 0.5)", "torch.clamp(a, min=0.0)", "torch.maximum(a, a.float())", "torch.polygamma(1, a)", "torch.trace(a)",
          "torch.renorm(a, 2, 0, 1.0)", "torch.cov(a)", "torch.quantile(a.float(), 0.5)", "torch.fft.fft(a.float())", "torch.index_select(a, 0, torch.tensor([0, 1]))", "torch.scatter_add(a, 0, torch.tensor([[0, 1, 2, 3]]), a)", "torch.dist(a, a)", "torch.renorm(a, 1, 0, 1.0)"]
FUNCTIONAL = ["F.conv1d(m[:, :, 0], w[:, :, 0])", "F.conv3d(m[None], w[None][:, :, :1])", "F.conv_transpose2d(m, w.transpose(0, 1))", "F.linear(a, a, a[0])", "F.bilinear(a, a, a[None])", "F.layer_norm(a, [4])", "F.rms_norm(a, [4])", "F.instance_norm(m)", "F.local_response_norm(m, 2)", "F.normalize(a)", "F.cosine_similarity(a, a)", "F.pairwise_distance(a, a)", "F.pdist(a)",
              "F.adaptive_avg_pool2d(m, 2)", "F.adaptive_max_pool2d(m, 2)", "F.avg_pool1d(m[0], 2)", "F.avg_pool3d(m[None], 2)", "F.max_pool1d(m[0], 2)", "F.lp_pool2d(m, 2, 2)", "F.pad(m, [1, 1], mode='reflect')", "F.pad(m, [1, 1])", "F.grid_sample(m, m.view(1, 8, 8, 2))", "F.interpolate(m, size=[4, 4], mode='nearest')", "F.interpolate(m, size=[4, 4], mode='bicubic')", "F.interpolate(m, size=[4, 4], mode='area')", "F.pixel_shuffle(m.view(1, 8, 4, 4), 2)",
              "F.unfold(m, 2)", "F.fold(F.unfold(m, 2), [8, 8], 2)", "F.l1_loss(a, a)", "F.smooth_l1_loss(a, a)", "F.huber_loss(a, a)", "F.mse_loss(a, a.float())", "F.nll_loss(a, torch.tensor([0, 1, 2, 3]))", "F.kl_div(a, a)", "F.binary_cross_entropy(a.sigmoid(), a.sigmoid())", "F.cosine_embedding_loss(a, a, a[0])", "F.hinge_embedding_loss(a, a)", "F.margin_ranking_loss(a, a, a)", "F.triplet_margin_loss(a, a, a)", "F.soft_margin_loss(a, a)", "F.multilabel_margin_loss(a, torch.tensor([[0, 1, 2, -1], [0, 1, 2, -1], [0, 1, 2, -1], [0, 1, 2, -1]]))",
              "F.multi_margin_loss(a, torch.tensor([0, 1, 2, 3]))", "F.poisson_nll_loss(a, a)", "F.gaussian_nll_loss(a, a, a.abs())", "F.embedding(torch.tensor([0, 1]), a)", "F.embedding_bag(torch.tensor([[0, 1]]), a)", "F.one_hot(torch.tensor([0, 1]))", "F.softplus(a)", "F.gelu(a, approximate='tanh')", "F.silu(a)", "F.elu(a)", "F.glu(a)", "F.prelu(m, a[0, :2])", "F.logsigmoid(a)", "F.softmin(a, 0)", "F.dropout(a, 0.5)", "F.ctc_loss(a[:, None].log_softmax(-1), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))", "F.gumbel_softmax(a)"]
AUTOCAST_CALLS = {text: text for text in [*(f"torch.{n}(a)" for n in UNARY), *(f"torch.{n}(a{', 1' if n in ('logsumexp', 'cumsum', 'cumprod', 'softmax', 'log_softmax', 'topk') else ''})" for n in ONES), *(f"torch.linalg.{n}(a)" for n in LINALG), *BINARY, *FUNCTIONAL]}
