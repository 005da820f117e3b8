"""Runs modules of torch.nn as a JSON file says, and writes down what they are and compute: read by nn.test.ts.

    python nn_recorder.py CASES.json OUT

OUT.json has, for each case, how the module prints, the keys of its state and the numbers drawn; OUT.safetensors the tensors.
"""
import json
import re
import sys
import warnings

import torch
from safetensors.torch import save_file
from torch import nn

warnings.simplefilter("ignore")
torch.set_num_threads(1)
REAL = {"normal": torch.randn, "uniform": torch.rand}


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m.group(1).lower(), name)


def value(x):
    """An argument: a module, a tensor, or what it is."""
    if isinstance(x, dict) and "module" in x:
        return build(x["module"])
    if isinstance(x, dict) and "tensor" in x:
        return tensor(x["tensor"])
    if isinstance(x, dict) and "chunks" in x:
        return nn.LinearCrossEntropyOptions(**options(x["chunks"]))
    return tuple(value(y) for y in x) if isinstance(x, list) else x


def options(given):
    return {snake(k): value(v) for k, v in given.items()}


def build(spec):
    name, args, kwargs = spec
    args = [value(a) for a in args]
    if "dtype" in kwargs:
        kwargs = {**kwargs, "dtype": getattr(torch, kwargs["dtype"])}
    dtype = {k: v for k, v in kwargs.items() if k == "dtype"}
    return getattr(nn, name)(*args, **options({k: v for k, v in kwargs.items() if k != "dtype"}), **dtype)


def tensor(spec):
    if isinstance(spec, list):
        spec = {"normal": spec}
    (kind, shape), *rest = spec.items()
    extra = dict(rest)
    if kind == "data":
        return torch.tensor(shape, dtype=getattr(torch, extra.get("dtype", "float32")))
    if kind == "integers":
        return torch.randint(extra.get("low", 0), extra["high"], shape)
    if kind == "below":
        return torch.rand(shape) < extra["limit"]
    made = REAL[kind](shape)
    return made.to(getattr(torch, extra["dtype"])) if "dtype" in extra else made


def flat(x):
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, nn.utils.rnn.PackedSequence):
        return [x.data, x.batch_sizes]
    return [z for y in x for z in flat(y)] if isinstance(x, (list, tuple)) else []


def call(case, name, tensors):
    """A function of torch.nn.functional: its results, and the gradients of their sum with random factors."""
    torch.manual_seed(case.get("seed", 0))
    inputs = [value(x) for x in case["inputs"]]
    wants = [x for x in flat(inputs) if x.is_floating_point() and not case.get("noGrad")]
    for i, x in enumerate(inputs):
        if any(x is y for y in wants) and "data" not in case["inputs"][i]["tensor"]:
            x.requires_grad_()
    kwargs = options(case.get("options", {}))
    if "dtype" in kwargs:
        kwargs["dtype"] = getattr(torch, kwargs["dtype"])
    outputs = flat(getattr(nn.functional, snake(case["function"]))(*inputs, **kwargs))
    terms = []
    for i, y in enumerate(outputs):
        tensors[f"{name}/output/{i}"] = y.detach().clone()
        if y.requires_grad:
            terms.append((y * torch.randn(y.shape, dtype=y.dtype)).sum())
    if terms:
        sum(terms[1:], terms[0]).backward()
    for i, x in enumerate(inputs):
        if isinstance(x, torch.Tensor) and x.grad is not None:
            tensors[f"{name}/grad_input/{i}"] = x.grad.to_dense()
    return {"next": torch.rand(1).item()}


def run(case, name, tensors):
    if "function" in case:
        return call(case, name, tensors)
    about = {}
    torch.manual_seed(case.get("seed", 0))
    module = build(case["module"])
    about["repr"] = repr(module)
    state = module.state_dict()
    lazy = any(nn.parameter.is_lazy(t) for t in state.values())
    about["keys"] = list(state)
    module.train(case.get("mode", "train") == "train")
    inputs = [value(x) for x in case["inputs"]]
    leaves = flat(inputs)
    for i, x in enumerate(leaves):
        given = i < len(inputs) and isinstance(case["inputs"][i], dict) and "data" in case["inputs"][i]["tensor"]
        if x.is_floating_point() and not case.get("noGrad") and not given:
            x.requires_grad_()
    kwargs = options(case.get("options", {}))
    if not lazy:
        for key, x in state.items():
            tensors[f"{name}/state/{key}"] = x.clone()
    if case.get("pack"):
        inputs[0] = nn.utils.rnn.pack_padded_sequence(inputs[0], **options(case["pack"]))
    with torch.set_grad_enabled(not case.get("noGrad")):
        outputs = flat(module(*inputs, **kwargs))
    about["after"] = repr(module)
    total = None
    for i, y in enumerate(outputs):
        tensors[f"{name}/output/{i}"] = y.detach().clone()
        if y.requires_grad:
            term = (y * torch.randn(y.shape, dtype=y.dtype)).sum()
            total = term if total is None else total + term
    if total is not None:
        total.backward()
    for i, x in enumerate(leaves):
        if x.grad is not None:
            tensors[f"{name}/grad_input/{i}"] = x.grad.to_dense()
    for key, p in module.named_parameters():
        if p.grad is not None:
            tensors[f"{name}/grad/{key}"] = p.grad.to_dense()
    for key, x in module.state_dict().items():
        tensors[f"{name}/after/{key}"] = x.clone()
    about["next"] = torch.rand(1).item()
    return about


def main(source, out):
    results, tensors = [], {}
    for i, case in enumerate(json.load(open(source))):
        try:
            results.append(run(case, str(i), tensors))
        except Exception as error:
            results.append({"error": f"{type(error).__name__}: {error}"})
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, out + ".safetensors")
    json.dump(results, open(out + ".json", "w"))


main(*sys.argv[1:])
