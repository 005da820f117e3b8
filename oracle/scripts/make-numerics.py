"""Writes random cases of the form of fixtures/numerics, to hold levin against PyTorch where nobody thought of it.

    python make-numerics.py FOLDER [COUNT] [SEED] [GROUP ...]   # COUNT cases a group, as PyTorch computes them
    npm run oracle -- numerics FOLDER                           # what levin computes

What PyTorch itself refuses is drawn again. The recorder is the fixtures' own, `fixtures/numerics/make.py`; what is drawn for
layers and losses is in `random_modules.py`, for functions in `random_functions.py`, for everything else here. Random files of
`torch.save` are made by the tests of serialization.
"""

import contextlib
import copy
import io
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fixtures", "numerics"))
sys.path.insert(0, HERE)

import make as recorder  # noqa: E402
import torch  # noqa: E402
from random_functions import AUTOCAST_CALLS, DRAWS, FUNCTIONS, operator_samples  # noqa: E402
from random_modules import DROPOUTS, LAYERS, LOSSES, Random, m, seq  # noqa: E402
from torch import nn  # noqa: E402


# ------------------------------------------------------------------ modules and functions

def layer(r):
    name = r.next_of(LAYERS)
    spec, inputs, *options = LAYERS[name](r)
    return [f"{r.number}-{name}", spec, inputs, *options]


def function(r):
    if r.chance(0.5):
        return r.next_sample(operator_samples)
    name = r.next_of(FUNCTIONS)
    inputs, kwargs = FUNCTIONS[name](r)
    return [f"{r.number}-{name}", name, inputs, kwargs]


def loss(r):
    name = r.next_of(LOSSES)
    inputs, kwargs, *tensors = LOSSES[name](r)
    return [f"{r.number}-{name}", name, inputs, kwargs, *tensors]


# ------------------------------------------------------------------ schedulers

FORMULAS = list(recorder.LAMBDAS)
SCHEDULERS = {
    "StepLR": lambda r: {"step_size": r.int(1, 9), **r.some(gamma=r.real(0.1, 1.2))},
    "MultiStepLR": lambda r: {"milestones": [r.int(0, 25) for _ in range(r.int(0, 5))], **r.some(gamma=r.real(0.1, 1.0))},
    "ConstantLR": lambda r: r.some(factor=r.real(0.0, 1.0), total_iters=r.int(0, 9)),
    "LinearLR": lambda r: r.some(start_factor=r.real(0.01, 1.0), end_factor=r.real(0.0, 1.0), total_iters=r.int(1, 15)),
    "ExponentialLR": lambda r: {"gamma": r.real(0.5, 1.05)},
    "CosineAnnealingLR": lambda r: {"T_max": r.int(1, 20), **r.some(eta_min=r.real(0.0, 0.02))},
    "CosineAnnealingWarmRestarts": lambda r: {"T_0": r.int(1, 8), **r.some(T_mult=r.int(1, 3), eta_min=r.real(0.0, 0.02))},
    "PolynomialLR": lambda r: r.some(total_iters=r.int(1, 20), power=r.pick(0.5, 1.0, 2.0, 3.0)),
    "LambdaLR": lambda r: {"lr_lambda": r.pick(*FORMULAS)},
    "MultiplicativeLR": lambda r: {"lr_lambda": r.pick(*FORMULAS)},
    "SWALR": lambda r: {"swa_lr": r.real(0.001, 0.2), **r.some(anneal_epochs=r.int(0, 9), anneal_strategy=r.pick("cos", "linear"))},
}
CYCLES = {
    "OneCycleLR": lambda r: {
        "max_lr": r.real(0.1, 1.0), **r.pick({"total_steps": r.int(41, 60)}, {"epochs": r.int(5, 6), "steps_per_epoch": r.int(9, 12)}),
        **r.some(pct_start=r.real(0.1, 0.9), anneal_strategy=r.pick("cos", "linear"), cycle_momentum=r.chance(0.5), base_momentum=r.real(0.7, 0.9),
                 max_momentum=r.real(0.9, 0.99), div_factor=r.real(2.0, 50.0), final_div_factor=r.real(10.0, 1e5), three_phase=r.chance(0.5))},
    "CyclicLR": lambda r: {
        "base_lr": r.real(0.001, 0.1), "max_lr": r.real(0.1, 1.0),
        **r.some(step_size_up=r.int(2, 12), step_size_down=r.int(1, 12), mode=r.pick("triangular", "triangular2", "exp_range"), gamma=r.real(0.8, 1.0),
                 cycle_momentum=r.chance(0.5), base_momentum=r.real(0.6, 0.85), max_momentum=r.real(0.85, 0.99), scale_mode=r.pick("cycle", "iterations"))},
}
PLATEAU = lambda r: r.some(  # noqa: E731
    mode=r.pick("min", "max"), factor=r.real(0.1, 0.9), patience=r.int(0, 4), threshold=r.pick(1e-4, 0.01, 0.1), threshold_mode=r.pick("rel", "abs"),
    cooldown=r.int(0, 3), min_lr=r.real(0.0, 0.01), eps=r.pick(1e-8, 1e-3))


def nested_scheduler(r, depth):
    """A scheduler that may be made of others."""
    if depth > 0 and r.chance(0.3):
        parts = [nested_scheduler(r, depth - 1) for _ in range(r.int(1, 3))]
        if r.chance(0.5):
            return ["ChainedScheduler", {"schedulers": parts}]
        return ["SequentialLR", {"schedulers": parts, "milestones": sorted(r.int(1, 20) for _ in parts[1:])}]
    name = r.pick(*SCHEDULERS)
    return [name, SCHEDULERS[name](r)]


def scheduler(r):
    groups = [{}, *({"lr": r.real(0.001, 0.5)} for _ in range(r.pick(0, 0, 1, 2)))]
    optimizer = r.pick(("SGD", {"lr": r.real(0.01, 1.0)}), ("SGD", {"lr": r.real(0.01, 1.0), "momentum": r.real(0.1, 0.9)}), ("Adam", {"lr": r.real(0.001, 0.1)}),
                       ("AdamW", {}), ("RMSprop", {"lr": 0.05, "momentum": 0.5}))
    options, kind = {"groups": groups}, r.random()
    if kind < 0.15:
        spec = ["ReduceLROnPlateau", PLATEAU(r)]
        options["metrics"] = [round(max(1.0 - 0.05 * t, 0.6) + r.pick(0.0, 0.0, 0.01, -0.02), 3) for t in range(40)]
    elif kind < 0.4:
        name = r.pick(*CYCLES)
        spec = [name, CYCLES[name](r)]
    else:
        spec = nested_scheduler(r, 2)
    name, kwargs = spec
    if name in ("LambdaLR", "MultiplicativeLR") and len(groups) > 1:
        kwargs["lr_lambda"] = [r.pick(*FORMULAS) for _ in groups]
    if name in ("OneCycleLR", "CyclicLR", "SWALR", "ReduceLROnPlateau") and len(groups) > 1 and r.chance(0.5):
        key = r.pick(*({"OneCycleLR": ["max_lr"], "CyclicLR": ["base_lr"], "SWALR": ["swa_lr"]}.get(name, ["min_lr"])))
        kwargs[key] = [r.real(0.001, 0.1) for _ in groups]
    if name in SCHEDULERS and name != "SWALR" and r.chance(0.1):  # as if it had been stopped and started again
        kwargs["last_epoch"] = r.int(0, 12)
        for group in groups:
            group["initial_lr"] = r.real(0.01, 0.5)
    return [f"{r.number}-{name}", optimizer, spec, r.int(20, 40), options]


# ------------------------------------------------------------------ training runs

ANY = lambda r: r.some(weight_decay=r.real(0.0, 0.1), maximize=r.chance(0.2), **r.pick({}, {"foreach": r.chance(0.5)}))  # noqa: E731
FUSED = lambda r: r.pick({}, {}, {"fused": True}, {"fused": False}, {"foreach": r.chance(0.5)})  # noqa: E731
OPTIMIZERS = {
    "SGD": lambda r: {"lr": r.real(0.01, 0.2), **r.some(momentum=r.real(0.0, 0.9), dampening=r.real(0.0, 0.5), weight_decay=r.real(0.0, 0.1), maximize=r.chance(0.2)), **FUSED(r)},
    "SGD nesterov": lambda r: {"lr": r.real(0.01, 0.2), "momentum": r.real(0.1, 0.9), "nesterov": True, **FUSED(r)},
    "Adam": lambda r: {**adam(r), **FUSED(r)},
    "AdamW": lambda r: {**adam(r), **FUSED(r)},
    "NAdam": lambda r: {**r.some(lr=r.real(0.001, 0.02), momentum_decay=r.real(0.001, 0.01), decoupled_weight_decay=r.chance(0.5)), **ANY(r)},
    "RAdam": lambda r: {**r.some(lr=r.real(0.001, 0.02), betas=[r.real(0.5, 0.95), r.real(0.9, 0.999)], decoupled_weight_decay=r.chance(0.5)), **ANY(r)},
    "Adamax": lambda r: {**r.some(lr=r.real(0.001, 0.02), betas=[r.real(0.5, 0.95), r.real(0.9, 0.999)], eps=r.pick(1e-8, 1e-4)), **ANY(r)},
    "RMSprop": lambda r: {**r.some(lr=r.real(0.001, 0.01), alpha=r.real(0.8, 0.99), momentum=r.real(0.0, 0.9), centered=r.chance(0.5), eps=r.pick(1e-8, 1e-4)), **ANY(r)},
    "Adagrad": lambda r: {**r.some(lr=r.real(0.01, 0.1), lr_decay=r.real(0.0, 0.1), initial_accumulator_value=r.real(0.0, 0.5), weight_decay=r.real(0.0, 0.1), maximize=r.chance(0.2)), **FUSED(r)},
    "Adadelta": lambda r: {**r.some(lr=r.real(0.5, 1.0), rho=r.real(0.8, 0.99), eps=r.pick(1e-6, 1e-4)), **ANY(r)},
    "ASGD": lambda r: {**r.some(lr=r.real(0.01, 0.1), lambd=r.real(1e-5, 1e-2), alpha=r.real(0.5, 0.9), t0=r.pick(3.0, 10.0, 1e6)), **ANY(r)},
    "Rprop": lambda r: r.some(lr=r.real(0.001, 0.01), etas=[r.real(0.3, 0.6), r.real(1.1, 1.4)], step_sizes=[1e-6, r.pick(0.05, 50.0)], maximize=r.chance(0.2)),
    "Adafactor": lambda r: r.some(lr=r.real(0.005, 0.05), beta2_decay=r.real(-0.9, -0.5), d=r.real(0.5, 2.0), weight_decay=r.real(0.0, 0.1), maximize=r.chance(0.2)),
    "Muon": lambda r: r.some(lr=r.real(0.001, 0.02), momentum=r.real(0.5, 0.95), nesterov=r.chance(0.5), ns_steps=r.int(2, 5), weight_decay=r.real(0.0, 0.1),
                             adjust_lr_fn=r.pick("original", "match_rms_adamw")),
    "LBFGS": lambda r: {"lr": r.real(0.1, 1.0), **r.some(max_iter=r.int(1, 6), max_eval=r.int(2, 8), history_size=r.int(1, 6), line_search_fn="strong_wolfe", tolerance_grad=r.pick(1e-7, 1e-3))},
}


def adam(r):
    return r.some(lr=r.real(0.001, 0.02), betas=[r.real(0.5, 0.95), r.real(0.9, 0.999)], eps=r.pick(1e-8, 1e-4), weight_decay=r.real(0.0, 0.1), amsgrad=r.chance(0.5), maximize=r.chance(0.1))


def activation(r):
    return r.pick(m("ReLU"), m("Tanh"), m("GELU"), m("SiLU"), m("LeakyReLU", 0.1), m("ELU"), m("Mish"), m("Softplus"), m("Sigmoid"), m("Hardswish"), m("PReLU"), m("SELU"))


def model_and_batch(r, optimizer):
    width, classes = r.int(6, 20), r.int(3, 6)
    if optimizer == "Muon":  # takes matrices alone
        return seq(m("Linear", width, 24, bias=False), m("Tanh"), m("Linear", 24, classes, bias=False)), ["vectors", 8, width, classes]
    if optimizer == "LBFGS":
        return seq(m("Linear", width, 8), m("Tanh"), m("Linear", 8, classes)), ["vectors", 16, width, classes]
    kind = r.pick("mlp", "mlp", "norm", "cnn", "rnn", "gpt", "encoder")
    if kind == "mlp":
        return seq(m("Linear", width, 16, bias=r.chance(0.8)), activation(r), m("Dropout", r.pick(0.0, 0.0, 0.3)), m("Linear", 16, classes)), ["vectors", 8, width, classes]
    if kind == "norm":
        norm = r.pick(m("LayerNorm", 16), m("BatchNorm1d", 16), m("RMSNorm", 16), m("GroupNorm", 4, 16))
        return seq(m("Linear", width, 16), norm, activation(r), m("Linear", 16, classes)), ["vectors", 8, width, classes]
    if kind == "cnn":
        norm = r.pick(m("BatchNorm2d", 6), m("GroupNorm", 2, 6), m("InstanceNorm2d", 6, affine=True), m("Identity"))
        pool = r.pick(m("MaxPool2d", 2), m("AvgPool2d", 2), m("LPPool2d", 2, 2), m("AdaptiveMaxPool2d", 4))
        return seq(m("Conv2d", 2, 6, 3, padding=1, padding_mode=r.pick("zeros", "reflect", "circular")), norm, activation(r), pool,
                   m("Flatten"), m("Linear", 96, classes)), ["images", 4, 2, 8, 8, classes]
    if kind == "rnn":
        return m("SequenceModel", r.pick("LSTM", "GRU", "RNN"), 12, 6, 8, r.int(1, 2), bidirectional=r.chance(0.5)), ["tokens", 3, 7, 12]
    if kind == "gpt":
        return m("CausalDecoder", vocab=12, block=8, width=12, layers=r.int(1, 2), heads=3, tied=r.chance(0.5)), ["tokens", 3, 8, 12]
    return m("EncoderClassifier", 12, 8, 12, r.pick(1, 2, 3), 16, r.int(1, 2), classes, norm_first=r.chance(0.5), activation=r.pick("relu", "gelu")), ["sentences", 6, 8, 12, classes]


def training_run(r):
    key = r.next_of(OPTIMIZERS)
    name = key.split()[0]
    model, batch = model_and_batch(r, name)
    case = {"name": f"{r.number}-{name}", "seed": r.int(0, 10**6), "model": model, "batch": batch, "optimizer": [name, OPTIMIZERS[key](r)], "steps": r.int(5, 15)}
    if batch[0] == "vectors" and r.chance(0.3):
        case["batch"] = ["regression", *batch[1:]]
        case["loss"] = r.pick(["mse_loss", {}], ["smooth_l1_loss", {"beta": 0.5}], ["huber_loss", {"delta": 0.7}], ["l1_loss", {"reduction": "sum"}])
    elif r.chance(0.3):
        case["loss"] = ["cross_entropy", r.some(label_smoothing=r.real(0.0, 0.3), reduction=r.pick("mean", "sum"), ignore_index=1)]
    if name != "LBFGS":
        if r.chance(0.3):
            case["accumulate"] = r.int(2, 4)
        if r.chance(0.4):
            case["clip"] = r.pick({"norm": r.real(0.1, 1.0)}, {"norm": r.real(0.1, 1.0), "norm_type": r.pick(1.0, 3.0)}, {"value": r.real(0.001, 0.1)})
        if r.chance(0.3):
            case["precision"] = r.pick("64-true", "bf16-mixed", "bf16-true")
    if r.chance(0.4):
        case["scheduler"] = r.pick(nested_scheduler(r, 1), ["ReduceLROnPlateau", {"patience": 0, "factor": 0.5}])
    if r.chance(0.3) and name not in ("Muon", "LBFGS"):
        case["groups"] = [{"match": "bias", "lr": r.real(0.001, 0.05), **r.some(weight_decay=0.0)}, {"match": "", **r.some(weight_decay=r.real(0.0, 0.1))}]
    return case


# ------------------------------------------------------------------ mixed precision, random numbers

def model(r):
    spec, inputs = layer(r)[1:3]
    # whether PyTorch takes this one depends on the numbers drawn
    return None if spec[0] == "AdaptiveLogSoftmaxWithLoss" else [f"{r.number}-{spec[0]}", spec, inputs]


def scaler(r):
    kwargs = {"init_scale": 2.0 ** r.int(0, 16), "growth_interval": r.int(1, 6), **r.some(growth_factor=r.real(1.5, 4.0), backoff_factor=r.real(0.1, 0.9))}
    steps = r.int(5, 25)
    bad = {r.int(0, steps - 1): r.pick("inf", "-inf", "nan") for _ in range(r.int(0, 5))}
    return [f"{r.number}", kwargs, steps, bad, *([r.real(0.01, 0.5)] if r.chance(0.4) else [])]


INITIALISERS = {
    "uniform_": lambda r: r.some(a=r.real(-2.0, 0.0), b=r.real(0.0, 3.0)),
    "normal_": lambda r: r.some(mean=r.real(-1.0, 1.0), std=r.real(0.1, 2.0)),
    "trunc_normal_": lambda r: r.some(mean=r.real(-1.0, 1.0), std=r.real(0.1, 2.0), a=r.real(-2.0, -0.5), b=r.real(0.5, 2.0)),
    "constant_": lambda r: {"val": r.real(-1.0, 1.0)},
    "ones_": lambda r: {}, "zeros_": lambda r: {}, "eye_": lambda r: {},
    "dirac_": lambda r: r.some(groups=r.int(1, 2)),
    "xavier_uniform_": lambda r: r.some(gain=r.real(0.1, 2.0)), "xavier_normal_": lambda r: r.some(gain=r.real(0.1, 2.0)),
    "kaiming_uniform_": lambda r: kaiming(r), "kaiming_normal_": lambda r: kaiming(r),
    "orthogonal_": lambda r: r.some(gain=r.real(0.1, 2.0)),
    "sparse_": lambda r: {"sparsity": r.real(0.0, 1.0), **r.some(std=r.real(0.01, 1.0))},
}


def kaiming(r):
    return r.some(a=r.real(0.0, 2.0), mode=r.pick("fan_in", "fan_out"), nonlinearity=r.pick("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"))


def initialiser(r):
    name = r.next_of(INITIALISERS)
    return [name, [r.int(1, 12) for _ in range(r.pick(1, 2, 2, 2, 3, 4, 5))], INITIALISERS[name](r), r.any_seed()]


def fresh_module(r):
    return [layer(r)[1], r.any_seed()]


def draw(r):
    return [DRAWS[r.next_of(DRAWS)](r), r.any_seed()]


def dropout(r):
    spec, shapes = DROPOUTS[r.next_of(DROPOUTS)](r)
    return [spec, shapes, r.any_seed()]


# ------------------------------------------------------------------ order of data

def order(r):
    n, generator = r.int(1, 60), r.pick(None, r.any_seed())
    common = {"n": n, "seed": r.any_seed()}
    kind = r.pick("loader", "loader", "workers", "sampler", "sampler", "sampler", "distributed", "split")
    if kind in ("loader", "workers"):
        more = {"workers": r.int(1, 3)} if kind == "workers" else {}
        return {"kind": "loader", **common, "batch_size": r.int(1, 9), "shuffle": r.chance(0.7), "drop_last": r.chance(0.3), "epochs": r.int(1, 3), "generator": generator, **more}
    if kind == "sampler":
        weights = [r.real(0.0, 2.0) for _ in range(r.int(1, 30))]
        name, first, kwargs = r.pick(
            ("SequentialSampler", None, {}),
            ("RandomSampler", None, r.some(replacement=r.chance(0.5), num_samples=r.int(1, 90))),
            ("SubsetRandomSampler", [r.int(0, 90) for _ in range(r.int(1, 30))], {}),
            ("WeightedRandomSampler", weights, {"num_samples": r.int(1, 50), **r.some(replacement=True)}),
            ("WeightedRandomSampler", weights, {"num_samples": r.int(1, len(weights)), "replacement": False}),
        )
        takes = None if name == "SequentialSampler" else generator
        return {"kind": "sampler", "sampler": name, "first": first, **common, "epochs": r.int(1, 3), "generator": takes, "kwargs": kwargs}
    if kind == "distributed":
        return {"kind": "distributed", **common, "replicas": r.int(1, 5), "shuffle": r.chance(0.7), "sampler_seed": r.int(0, 10**6), "drop_last": r.chance(0.5), "epochs": r.int(1, 3)}
    if r.chance(0.5):
        cuts = sorted(r.int(0, n) for _ in range(r.int(0, 3)))
        lengths = [b - a for a, b in zip([0, *cuts], [*cuts, n])]
    else:
        shares = [r.real(0.1, 1.0) for _ in range(r.int(1, 4))]
        lengths = [s / sum(shares) for s in shares]
    return {"kind": "split", **common, "lengths": lengths, "generator": generator}


# ------------------------------------------------------------------ the folder

def accepts(group, alone):
    """Whether PyTorch takes a case: it is recorded alone, into nowhere."""
    put, recorder.put = recorder.put, lambda *_: None
    try:
        with contextlib.redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            recorder.GROUPS[group](copy.deepcopy(alone), folder)
        return True
    except Exception:  # noqa: BLE001  whatever PyTorch says of it, there is nothing to compare
        return False
    finally:
        recorder.put = put


def cases(r, group, draw_one, count, alone):
    found = []
    for _ in range(20 * count):
        if len(found) == count:
            break
        r.number = len(found)
        case = draw_one(r)
        if case is not None and accepts(group, alone(case)):
            found.append(case)
    return found


def main(folder, count=60, seed=0, *wanted):
    r, count = Random(int(seed)), int(count)

    def several(group, draw_one, part=None):
        rest = {"models": [], "functions": [], "init": [], "modules": [], "draws": [], "dropout": [], "state_seed": 0}
        return cases(r, group, draw_one, count, (lambda case: [case]) if part is None else lambda case: {**rest, part: [case]})

    groups = {
        "layers": lambda: several("layers", layer),
        "functions": lambda: several("functions", function),
        "losses": lambda: several("losses", loss),
        "schedulers": lambda: several("schedulers", scheduler),
        "train": lambda: several("train", training_run),
        "autocast": lambda: {
            "models": several("autocast", model, "models"),
            "functions": several("autocast", lambda r: AUTOCAST_CALLS[r.next_of(AUTOCAST_CALLS)], "functions"),
        },
        "grad_scaler": lambda: several("grad_scaler", scaler),
        "random": lambda: {
            "init": several("random", initialiser, "init"),
            "modules": several("random", fresh_module, "modules"),
            "draws": several("random", draw, "draws"),
            "dropout": several("random", dropout, "dropout"),
            "state_seed": r.any_seed(),
        },
        "data_order": lambda: several("data_order", order),
    }
    for name, make in groups.items():
        if not wanted or name in wanted:
            recorder.GROUPS[name](make(), folder)
            print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
