"""Random nested objects, as state dicts and checkpoints hold them, for the tests of serialization.

    python random_objects.py write FOLDER COUNT    # FOLDER/N.pt by torch.save
    python random_objects.py compare FOLDER OTHER  # each FOLDER/N.pt with OTHER/N.pt, read with weights_only=True
    python random_objects.py again FOLDER OTHER    # reads each FOLDER/N.pt with weights_only=True and writes OTHER/N.pt
    python random_objects.py damaged FOLDER ""     # each FOLDER/N.damaged that can be read with {"value": it} in FOLDER/N.pt
"""

import collections
import random
import sys
import warnings
from pathlib import Path

import numpy
import safetensors.torch
import torch

warnings.filterwarnings("ignore")

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu]
INTS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64]
COMPLEX = [torch.complex32, torch.complex64, torch.complex128]
DTYPES = FLOATS + FLOAT8 + INTS + COMPLEX + [torch.bool]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tensors = []  # to be shared

    def dense(self, dtype, shape):
        count = 1
        for size in shape:
            count *= size
        if dtype == torch.bool:
            return torch.tensor([self.random.random() < 0.5 for _ in range(count)], dtype=torch.bool).reshape(shape)
        size = torch.empty(0, dtype=dtype).element_size()
        content = bytearray(self.random.randbytes(count * size))
        if count == 0:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(content, dtype=torch.uint8).clone().view(dtype).reshape(shape)

    def shape(self):
        return [self.random.choice([0, 1, 1, 2, 3, 4, 5]) for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 4, 5]))]

    def tensor(self):
        r = self.random
        kind = r.random()
        if kind < 0.3 and self.tensors:
            return self.view(r.choice(self.tensors))
        if kind < 0.36:
            return self.sparse()
        if kind < 0.40:
            return self.quantized()
        if kind < 0.43:
            return torch.empty(self.shape(), dtype=r.choice(FLOATS), device="meta")
        dtype = r.choice(DTYPES)
        tensor = self.dense(dtype, self.shape())
        if r.random() < 0.3 and tensor.dim() > 1:
            tensor = tensor.transpose(0, r.randrange(tensor.dim()))
        if r.random() < 0.1 and tensor.dim() > 0 and tensor.size(0) > 1:
            tensor = tensor[1:]
        if r.random() < 0.1 and dtype in (torch.complex64, torch.complex128):
            tensor = r.choice([tensor.conj(), tensor.conj().imag, tensor.real])
        if dtype in FLOATS:
            if r.random() < 0.3:
                tensor = torch.nn.Parameter(tensor, requires_grad=r.random() < 0.7)
            elif r.random() < 0.2:
                tensor.requires_grad_()
        if r.random() < 0.05:
            tensor.note = self.plain()
        self.tensors.append(tensor)
        return tensor

    def view(self, tensor):
        r = self.random
        how = r.randrange(6)
        if how == 0:
            return tensor
        tensor = tensor.detach()
        if how == 1 and tensor.dim() > 0 and tensor.size(0) > 1:
            return tensor[r.randrange(tensor.size(0))]
        if how == 2 and tensor.dim() > 1:
            return tensor.permute(*r.sample(range(tensor.dim()), tensor.dim()))
        if how == 3:
            return tensor.expand(2, *tensor.shape)
        if how == 4 and tensor.dim() > 0 and tensor.size(-1) > 2:
            return tensor[..., ::2]
        return torch.nn.Parameter(tensor, requires_grad=False)

    def sparse(self):
        r = self.random
        dense = torch.tensor([[r.choice([0.0, 0.0, r.random()]) for _ in range(4)] for _ in range(6)])
        layout = r.choice(["coo", "uncoalesced", "csr", "csc", "bsr", "bsc"])
        if layout == "coo":
            return dense.to_sparse().coalesce()
        if layout == "uncoalesced":
            return torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 2]], [1.0, 2.0, 3.0], (2, 3))
        return getattr(dense, f"to_sparse_{layout}")(*([(2, 2)] if layout[0] == "b" else []))

    def quantized(self):
        values = torch.tensor([[self.random.random() for _ in range(3)] for _ in range(2)])
        if self.random.random() < 0.5:
            return torch.quantize_per_tensor(values, 0.25, 3, self.random.choice([torch.quint8, torch.qint8, torch.qint32]))
        scales = torch.tensor([0.1, 0.2], dtype=torch.float64)
        return torch.quantize_per_channel(values, scales, torch.tensor([0, 1]), 0, torch.qint8)

    def plain(self):
        r = self.random
        return r.choice(
            [
                None,
                True,
                False,
                r.randrange(-3, 3),
                r.randrange(-(2**40), 2**40),
                r.choice([2**53, -(2**53), 2**63, -(2**63), 2**64 - 1, 10**40, -(10**40), 2**53 - 1]),
                float(r.randrange(-5, 5)),
                r.random(),
                r.choice([float("inf"), float("-inf"), -0.0, 1e300, 5e-324, 2.0**53, 1e15, 0.0]),
                complex(r.random(), float(r.randrange(3))),
                "".join(r.choice("abc.ä€𝄞\n\0\\'\ud800") for _ in range(r.randrange(8))),
                r.randbytes(r.randrange(1, 6)),  # PyTorch's own safe loader refuses empty ones
                bytearray(r.randbytes(r.randrange(6))),
                torch.Size([r.randrange(4) for _ in range(r.randrange(4))]),
                r.choice(DTYPES),
                torch.device(r.choice(["cpu", "cuda", "cuda:1", "meta"])),
                r.choice([torch.strided, torch.sparse_coo, torch.sparse_csr]),
                {r.randrange(100) for _ in range(r.randrange(4))} | {"a", 0.5, 200.0},
            ]
        )

    def key(self):
        r = self.random
        return r.choice([f"layer.{r.randrange(20)}.weight", r.choice("abcdef"), str(r.randrange(12)), "__proto__", "constructor"])

    def any_key(self):
        r = self.random
        return r.choice([self.key(), r.randrange(50), (r.randrange(5), 1.0), None, True, 0.5, 3.0, b"k"])

    def value(self, depth):
        r = self.random
        kind = r.random()
        if depth == 0 or kind < 0.45:
            return self.tensor()
        if kind < 0.65:
            return self.plain()
        count = r.choice([0, 1, 2, 3, 5])
        values = lambda: [self.value(depth - 1) for _ in range(count)]  # noqa: E731
        match r.randrange(7):
            case 0:
                return values()
            case 1:
                return tuple(values())
            case 2:
                return {self.any_key(): value for value in values()}
            case 3:
                ordered = collections.OrderedDict((self.key(), value) for value in values())
                if r.random() < 0.5:
                    ordered._metadata = collections.OrderedDict([("", {"version": 1})])
                return ordered
            case 4:
                return collections.Counter({self.key(): r.randrange(5) for _ in range(count)})
            case 5:
                return [float(r.randrange(4)) for _ in range(count)] + ([1] if r.random() < 0.3 else [])
            case _:
                return {self.key(): value for value in values()}

    def root(self):
        root = {f"entry{i}": self.value(3) for i in range(self.random.randrange(1, 8))}
        values = list(root.values())
        root["again"] = self.random.choice(values)  # the same object twice
        if self.random.random() < 0.2:
            root["cycle"] = [root]
        return root


class Comparison:
    """Whether two objects are the same in everything that torch.save keeps."""

    def __init__(self):
        self.storages = {}
        self.objects = {}

    def fail(self, where, a, b):
        raise AssertionError(f"{where}: {a!r} became {b!r}"[:500])

    def same(self, where, a, b):
        if isinstance(a, torch.storage.TypedStorage):
            a = torch.tensor([], dtype=a.dtype).set_(a._untyped_storage)  # levin has no storages apart from tensors
        if type(a) is not type(b):
            self.fail(f"{where}: type", type(a), type(b))
        if isinstance(a, (list, dict, set, bytearray, torch.Tensor)):
            if id(a) in self.objects:
                if self.objects[id(a)] is not b:
                    self.fail(f"{where}: one object", a, b)
                return
            self.objects[id(a)] = b
        if isinstance(a, torch.Tensor):
            self.tensor(where, a, b)
            self.attributes(where, a, b)
        elif isinstance(a, dict):
            if len(a) != len(b):
                self.fail(f"{where}: keys", list(a), list(b))
            for x, y in zip(a, b):
                self.same(f"{where}: key", x, y)
                self.same(f"{where}/{x}", a[x], b[y])
            self.attributes(where, a, b)
        elif isinstance(a, (list, tuple)):
            if len(a) != len(b):
                self.fail(f"{where}: length", a, b)
            for i, (x, y) in enumerate(zip(a, b)):
                self.same(f"{where}/{i}", x, y)
        elif isinstance(a, set):
            if sorted(map(repr, a)) != sorted(map(repr, b)):
                self.fail(where, a, b)
        elif repr(a) != repr(b):
            self.fail(where, a, b)

    def attributes(self, where, a, b):
        left, right = (getattr(x, "__dict__", None) or None for x in (a, b))
        self.same(f"{where}: attributes", left, right)

    def tensor(self, where, a, b):
        facts = [self.facts(x) for x in (a, b)]
        if facts[0] != facts[1]:
            self.fail(where, *facts)
        if a.device.type == "meta":
            return
        if a.is_quantized:
            if not torch.equal(a.int_repr(), b.int_repr()):
                self.fail(where, a, b)
        elif a.layout != torch.strided:
            if bytes(a.to_dense().untyped_storage()) != bytes(b.to_dense().untyped_storage()):
                self.fail(where, a, b)
        else:
            left, right = a.untyped_storage(), b.untyped_storage()
            # Memory that is shared on one side is shared on the other.
            if left.nbytes() > 0 and self.storages.setdefault(left._cdata, right._cdata) != right._cdata:
                self.fail(f"{where}: storage", left, right)
            if bytes(left) != bytes(right):
                self.fail(f"{where}: bytes", list(left), list(right))

    def facts(self, x):
        facts = [x.dtype, x.shape, x.layout, x.device, x.requires_grad]
        if x.layout == torch.strided and not x.is_quantized:
            facts += [x.stride(), x.storage_offset(), x.is_conj(), x.is_neg()]
            if x.device.type != "meta":
                facts.append(x.untyped_storage().nbytes())
        if x.layout == torch.sparse_coo:
            facts += [x.is_coalesced(), x._nnz()]
        if x.is_quantized:
            facts.append(x.qscheme())
            facts.append(x.q_scale() if x.qscheme() == torch.per_tensor_affine else x.q_per_channel_scales().tolist())
        return facts


def is_safetensors(path):
    return path.read_bytes()[8:9] == b"{"


def read(path):
    """A file of torch.save, safetensors or NumPy."""
    content = path.read_bytes()
    if content[:6] == b"\x93NUMPY":
        return torch.from_numpy(numpy.load(path))
    if is_safetensors(path):
        return safetensors.torch.load(content)
    try:
        return torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001
        return {name: torch.from_numpy(array) for name, array in numpy.load(path).items()}


def files(folder):
    return sorted(Path(folder).glob("*.pt"), key=lambda path: int(path.stem))


def main(command, folder, other):
    if command == "write":
        for seed in range(int(other)):
            torch.save(Generator(seed).root(), Path(folder, f"{seed}.pt"))
    elif command == "again":
        for path in files(folder):
            torch.save(torch.load(path, weights_only=True), Path(other, path.name))
    elif command == "damaged":
        compared = 0
        for path in files(folder):
            try:
                original = read(path.with_suffix(".damaged"))
            except Exception:  # noqa: BLE001
                continue  # levin may read more
            compared += 1
            try:
                made = torch.load(path, weights_only=True)["value"]
                if is_safetensors(path.with_suffix(".damaged")):  # read in no order
                    original, made = dict(sorted(original.items())), dict(sorted(made.items()))
                Comparison().same("", original, made)
            except Exception as error:  # noqa: BLE001
                print(f"{path.name}: {type(error).__name__}: {error}")
        print(f"compared {compared}")
    elif command == "compare":
        for path in files(folder):
            original = torch.load(path, weights_only=True)
            try:
                for mmap in (False, True):
                    Comparison().same("", original, torch.load(Path(other, path.name), weights_only=True, mmap=mmap))
            except Exception as error:  # noqa: BLE001
                print(f"{path.name}: {type(error).__name__}: {error}")
        print("compared")


if __name__ == "__main__":
    main(*sys.argv[1:4])
