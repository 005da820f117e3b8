"""Profiles what the test profiles with torch.profiler, and writes names, counts, shapes and memory as JSON to stdout."""

import json
import sys
import tempfile
import warnings

import torch
from torch.profiler import profile, ProfilerActivity, record_function, schedule

warnings.simplefilter("ignore")
torch.set_num_threads(1)


def step():
    """What it makes is returned, so that nothing is freed before the profile ends: JavaScript frees later than Python."""
    x = torch.ones(4, 3, 8, 8)
    weight = torch.ones(5, 3, 3, 3, requires_grad=True)
    bias = torch.zeros(5, requires_grad=True)
    target = torch.zeros(4, dtype=torch.int64)
    with record_function("forward"):
        convolved = torch.conv2d(x, weight, bias)
        positive = convolved.relu()
        y = positive.mean([2, 3])
    loss = torch.nn.functional.cross_entropy(y, target)
    gradient = torch.ones(())
    loss.backward(gradient)
    with torch.no_grad():
        weight.sub_(weight.grad, alpha=0.1)
    return x, weight, bias, target, convolved, positive, y, loss, gradient


def averages(prof, **options):
    return [
        [row.key, row.count, row.input_shapes or [], row.cpu_memory_usage, row.self_cpu_memory_usage, row.flops]
        for row in prof.key_averages(**options)
    ]


step()
options = {"activities": [ProfilerActivity.CPU], "record_shapes": True, "profile_memory": True, "with_flops": True}
with profile(**options) as prof:
    kept = step()
result = {"averages": averages(prof, group_by_input_shape=True)}
result["tree"] = [[event.name, event.cpu_parent.name if event.cpu_parent else None] for event in prof.events()]
result["header"] = prof.key_averages(group_by_input_shape=True).table().split("\n")[1].split()
with tempfile.NamedTemporaryFile(suffix=".json") as file:
    prof.export_chrome_trace(file.name)
    with open(file.name) as written:
        trace = json.load(written)
result["trace"] = sorted(
    event["name"] for event in trace["traceEvents"] if event["ph"] == "X" and event["cat"] in ("cpu_op", "user_annotation")
)

cycles = []
with profile(
    activities=[ProfilerActivity.CPU],
    schedule=schedule(skip_first=1, wait=1, warmup=1, active=2),
    on_trace_ready=lambda done: cycles.append([done.step_num, averages(done)]),
) as prof:
    for _ in range(11):
        torch.ones(2).relu()
        prof.step()
result["cycles"] = [[number, [row[:2] for row in rows]] for number, rows in cycles]
json.dump(result, sys.stdout)
