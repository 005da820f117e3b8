"""Computes metrics with torchmetrics: reads a list of cases as JSON from stdin, writes their values as JSON to stdout.

A case is {"metric": name, "args": [...], "options": {...}, "batches": [[argument, ...], ...]}; a tensor argument is
{"dtype": ..., "data": nested lists}. Its result is {"forward": [...], "compute": ...}.
"""

import json
import math
import sys
import warnings

import torch
import torchmetrics
import torchmetrics.text

warnings.simplefilter("ignore")


def numbers(data):
    """Nested lists in which null stands for nan."""
    if isinstance(data, list):
        return [numbers(item) for item in data]
    return math.nan if data is None else data


def argument(value):
    if isinstance(value, dict):
        return torch.tensor(numbers(value["data"]), dtype=getattr(torch, value["dtype"]))
    return value


def plain(value):
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def run(case):
    factory = getattr(torchmetrics, case["metric"], None) or getattr(torchmetrics.text, case["metric"])
    metric = factory(*case["args"], **case["options"])
    forward = [plain(metric(*map(argument, batch))) for batch in case["batches"]]
    result = {"forward": forward, "compute": plain(metric.compute())}
    metric.persistent(True)
    result["state"] = {key: plain(value) for key, value in metric.state_dict().items()}
    return result


json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
