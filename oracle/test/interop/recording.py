"""How what PyTorch did is written down: calls.json holds the calls, tensors.bin the tensors' bytes.

A tensor is recorded as {"tensor": [dtype, shape, offset]}, other values that JSON lacks as {"dtype": ...}, {"number": "nan"},
{"complex": [re, im]}, {"kwargs": {...}}.
"""
import json
import math

import torch


class Unencodable(Exception):
    """A value that only Python has."""


class Recording:
    def __init__(self, seed):
        self.seed = seed
        self.calls = []
        self.memory = bytearray()

    def encode(self, value):
        if isinstance(value, torch.Tensor):
            return self.encode_tensor(value)
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, (torch.device, torch.layout, torch.memory_format)):
            return str(value).removeprefix("torch.")
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return value if abs(value) < 2**53 else {"number": str(value)}
        if isinstance(value, float):
            return value if math.isfinite(value) else {"number": str(value)}
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, (list, tuple)):
            return [self.encode(part) for part in value]
        if isinstance(value, dict):
            return {"kwargs": {key: self.encode(part) for key, part in value.items()}}
        raise Unencodable(type(value).__name__)

    def encode_tensor(self, tensor):
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise Unencodable("a tensor that is not dense")
        plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
        self.memory.extend(b"\0" * (-len(self.memory) % 16))
        offset = len(self.memory)
        if plain.numel():
            self.memory.extend(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
        return {"tensor": [str(plain.dtype).removeprefix("torch."), list(plain.shape), offset]}

    def write(self, folder):
        folder.joinpath("calls.json").write_text(json.dumps({"seed": self.seed, "calls": self.calls}))
        folder.joinpath("tensors.bin").write_bytes(self.memory)
