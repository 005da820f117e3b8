"""Calls PyTorch's operators with the inputs of PyTorch's own tests, and records the results and gradients.

    python record_operators.py FOLDER
"""
import inspect
import itertools
import pathlib
import random
import sys
import types
import unittest
import warnings

warnings.filterwarnings("ignore")
# PyTorch's list of operators with sample inputs belongs to its tests, which import this for other ends.
expecttest = types.ModuleType("expecttest")
expecttest.TestCase = unittest.TestCase
expecttest.assert_expected_inline = lambda *args, **kwargs: None
sys.modules.setdefault("expecttest", expecttest)

import torch
from recording import Recording, Unencodable
from torch.testing._internal.common_methods_invocations import op_db

DTYPES = [torch.float32, torch.int64, torch.complex64, torch.bool, torch.bfloat16]
SAMPLES = 3
# Operators and forms that are not public, and those whose values are not defined.
SKIPPED = ("jiterator", "masked.", "signal.", "torch.ops", "_", "empty", "new_empty", "resize_")
# Called by the list with arguments in another order, or by place where levin takes an object of options.
NOT_AS_LISTED = {"nn.functional.embedding_bag", "to"}
VARIADIC = {"meshgrid", "block_diag", "broadcast_tensors", "cartesian_prod"}

torch.set_num_threads(1)
recording = Recording(seed=1234)


def as_read(value):
    """The value as the reader of the record will have it."""
    if isinstance(value, torch.Tensor):
        return value.detach().resolve_conj().resolve_neg().contiguous().clone()
    return type(value)(as_read(part) for part in value) if type(value) in (list, tuple) else value


def find(path):
    found = torch
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def ways(op):
    """The public ways to call an operator: (kind, Python name, callable)."""
    for name in {op.name, *(alias.name.removeprefix("torch.") for alias in op.aliases)}:
        for one in (name, name + "_"):
            function = find(one)
            if callable(function) and not inspect.isclass(function):
                yield "function", one, function
            if "." not in name and callable(getattr(torch.Tensor, one, None)):
                yield "method", one, getattr(torch.Tensor, one)


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in tensors_in(part)] if isinstance(value, (list, tuple)) else []


def differentiable(tensors):
    return [tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]


def record(op, dtype, sample, kind, name, function):
    args = [as_read(value) for value in (sample.input, *sample.args)]
    kwargs = {key: as_read(value) for key, value in sample.kwargs.items()}
    if name in VARIADIC and isinstance(sample.input, (list, tuple)):
        args = [*args[0], *args[1:]]
    call = {"kind": kind, "name": name, "dtype": str(dtype).removeprefix("torch."), "args": recording.encode(args), "kwargs": recording.encode(kwargs)["kwargs"]}
    wanted = []
    if dtype == torch.float32 and op.supports_autograd and not name.endswith("_"):
        wanted = [tensor.requires_grad_() for tensor in differentiable(tensors_in(args))]
    torch.manual_seed(recording.seed)
    result = function(*args, **kwargs)
    call["result"] = recording.encode(result)
    outputs = [output for output in differentiable(tensors_in(result)) if output.requires_grad]
    if wanted and outputs:
        total = sum((output.abs() if output.is_complex() else output).sum() for output in outputs)
        call["gradients"] = recording.encode(list(torch.autograd.grad(total, wanted, allow_unused=True)))
    return call


for op in op_db:
    if op.name.startswith(SKIPPED) or op.name in NOT_AS_LISTED:
        continue
    for dtype in DTYPES:
        if dtype not in op.supported_dtypes("cpu"):
            continue
        torch.manual_seed(recording.seed)
        random.seed(recording.seed)
        try:
            samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=False), SAMPLES))
        except (RuntimeError, ImportError):
            continue  # some samples need SciPy
        for sample in samples:
            for kind, name, function in ways(op):
                start = len(recording.memory)
                try:
                    recording.calls.append(record(op, dtype, sample, kind, name, function))
                except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError, Unencodable):
                    del recording.memory[start:]  # this form does not take this sample
recording.write(pathlib.Path(sys.argv[1]))
