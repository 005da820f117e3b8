"""Runs the cases of lr-scheduler.test.ts with PyTorch's schedulers: python lr_scheduler_recorder.py FOLDER

FOLDER/cases.json lists the cases; FOLDER/N.pt has the states that levin had half way. FOLDER/N.out.pt gets the learning rates that
PyTorch sets, its states half way, and the learning rates from levin's half way on.
"""

import json
import re
import sys
import warnings
from pathlib import Path

import torch

warnings.simplefilter("ignore")


def snake(name):
    name = re.sub(r"^T(?=[A-Z0-9])", "T_", name)
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda m: "_" + m[0].lower(), name).replace("T_M", "T_m")


def snake_keys(options):
    return {snake(key): value for key, value in options.items()}


def build_scheduler(optimizer, spec):
    name, options = spec[0], snake_keys(spec[1])
    if "schedulers" in options:
        options["schedulers"] = [build_scheduler(optimizer, part) for part in options["schedulers"]]
    if name == "ChainedScheduler":
        return torch.optim.lr_scheduler.ChainedScheduler(options["schedulers"])
    if options.get("lr_lambda"):
        base = options["lr_lambda"]
        options["lr_lambda"] = lambda epoch: base**epoch
    module = torch.optim.swa_utils if name == "SWALR" else torch.optim.lr_scheduler
    return getattr(module, name)(optimizer, **options)


def build(case):
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], **snake_keys(options)} for options in case["groups"]]
    optimizer = getattr(torch.optim, case["optimizer"])(groups, lr=0.1, **snake_keys(case["optimizerOptions"]))
    return optimizer, build_scheduler(optimizer, case["scheduler"])


def run(case, optimizer, scheduler, epochs):
    rates = []
    for epoch in epochs:
        optimizer.step()
        if case["scheduler"][0] == "ReduceLROnPlateau":
            scheduler.step(case["metrics"][epoch])
        else:
            scheduler.step()
        rates.append([[g["lr"], g.get("momentum", g.get("betas", [0])[0])] for g in optimizer.param_groups])
    return rates


folder = Path(sys.argv[1])
for i, case in enumerate(json.loads((folder / "cases.json").read_text())):
    half, end = case["epochs"] // 2, case["epochs"]
    optimizer, scheduler = build(case)
    rates = run(case, optimizer, scheduler, range(half))
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, folder / f"{i}.half.pt")
    rates += run(case, optimizer, scheduler, range(half, end))

    given = torch.load(folder / f"{i}.pt", weights_only=True)
    optimizer, scheduler = build(case)
    scheduler.load_state_dict(given["scheduler"])
    optimizer.load_state_dict(given["optimizer"])
    resumed = run(case, optimizer, scheduler, range(half, end))
    (folder / f"{i}.out.json").write_text(json.dumps({"rates": rates, "resumed": resumed}))
