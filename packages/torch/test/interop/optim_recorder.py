"""Runs the cases of optim.test.ts with PyTorch's optimizers: python optim_recorder.py FOLDER

FOLDER/cases.json lists the cases; FOLDER/N.pt has the parameters at the start, the gradients of each step, and what levin had half
way. FOLDER/N.out.pt gets what PyTorch has half way and at the end, and where it gets to from levin's half way.
"""

import json
import re
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda m: "_" + m[0].lower(), name)


def snake_keys(options):
    return {snake(key): value for key, value in options.items()}


def loss_of(params, matrix):
    """For optimizers that evaluate the loss themselves."""
    x = torch.cat([p.reshape(-1) for p in params])
    return ((matrix @ x - 1) ** 2 + 1).log().sum()


def build(case, tensors):
    params = [torch.nn.Parameter(tensor.clone()) for tensor in tensors]
    groups = [
        {"params": [params[i] for i in group["params"]], **snake_keys(group["options"])} for group in case["groups"]
    ]
    options = snake_keys(case["options"])
    return params, getattr(torch.optim, case["optimizer"])(groups, **options)


def run(case, params, optimizer, grads, matrix):
    for step in grads:
        if case["optimizer"] == "LBFGS":

            def closure():
                optimizer.zero_grad()
                loss = loss_of(params, matrix)
                loss.backward()
                return loss

            optimizer.step(closure)
            continue
        for param, grad in zip(params, step):
            # a copy: with Nesterov's momentum, PyTorch's foreach changes gradients in place
            param.grad = None if grad is None else grad.to_sparse(1) if case["sparse"] else grad.clone()
        optimizer.step()


def values(params):
    return [param.detach().clone() for param in params]


def record(case, given):
    half = case["steps"] // 2
    params, optimizer = build(case, given["init"])
    run(case, params, optimizer, given["grads"][:half], given["matrix"])
    out = {"half": values(params), "state": optimizer.state_dict()}
    out = torch.load(save(out), weights_only=True)  # a copy: the rest of the run changes the state in place
    run(case, params, optimizer, given["grads"][half:], given["matrix"])
    out["end"] = values(params)

    params, optimizer = build(case, given["half"])
    optimizer.load_state_dict(given["state"])
    run(case, params, optimizer, given["grads"][half:], given["matrix"])
    out["resumed"] = values(params)
    return out


def save(value):
    import io

    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer


folder = Path(sys.argv[1])
for i, case in enumerate(json.loads((folder / "cases.json").read_text())):
    given = torch.load(folder / f"{i}.pt", weights_only=True)
    try:
        out = record(case, given)
    except Exception as error:
        raise RuntimeError(f"in case {case}") from error
    torch.save(out, folder / f"{i}.out.pt")
