"""What single operators cost under PyTorch; operators-child.ts does the same in levin.

Prints one JSON line: microseconds by name, the least of several rounds.
"""
import json
import sys
import time

import torch
from torch import nn

ROUNDS, CALLS = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
torch.manual_seed(0)

a, b = torch.randn(4, 4), torch.randn(4, 4)
p, q = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
x = torch.randn(8, 16)


def forward_backward():
    net(x).mean().backward()


CASES = {
    "add": lambda: a + b,
    "add a number": lambda: a + 1.5,
    "add, with grad": lambda: p + q,
    "matmul": lambda: a @ b,
    "matmul, with grad": lambda: p @ q,
    "forward and backward of three layers": forward_backward,
}


def measure(call, calls):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


print(json.dumps({name: measure(call, CALLS // 10 if "backward" in name else CALLS) for name, call in CASES.items()}))
