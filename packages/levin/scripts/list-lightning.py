"""Lists the public classes of PyTorch Lightning with the arguments of their constructors and methods, as JSON.

usage: list-lightning.py > lightning.generated.json

`parity.mjs` holds levin against the list.
"""

import functools
import inspect
import json

import lightning.pytorch as pl
from lightning.pytorch import callbacks, cli, loggers, profilers, tuner
from lightning.pytorch.core.hooks import CheckpointHooks, DataHooks, ModelHooks
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import CombinedLoader

SECTIONS = {
    "Trainer": [pl.Trainer],
    "Module, data module and hooks": [pl.LightningModule, pl.LightningDataModule, ModelHooks, DataHooks, CheckpointHooks],
    "Callbacks": [getattr(callbacks, name) for name in callbacks.__all__],
    "Loggers": [getattr(loggers, name) for name in loggers.__all__],
    "Profilers": [getattr(profilers, name) for name in profilers.__all__],
    "Tuner": [tuner.Tuner],
    "Command line": [cli.LightningCLI],
    "Data": [CombinedLoader],
    "Storage": [CheckpointIO],
}
FUNCTIONS = [pl.seed_everything]


def parameters(function):
    """The parameters but `self`, each with its default; `*args` and `**kwargs` are no names a user gives."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        entry = {"name": parameter.name}
        if parameter.default is not parameter.empty:
            entry["default"] = repr(parameter.default)
        found.append(entry)
    return found


def is_lightnings(owner):
    return owner.__module__.startswith("lightning.pytorch") or owner.__module__.startswith("lightning.fabric")


def describe(cls, base=None):
    methods, properties = {}, []
    for name in sorted(dir(cls)):
        if name.startswith("_"):
            continue
        owner = next((each for each in cls.__mro__ if name in each.__dict__), None)
        if owner is None or not is_lightnings(owner) or (base and base is not cls and hasattr(base, name)):
            continue
        member = inspect.getattr_static(cls, name)
        if isinstance(member, (property, functools.cached_property)):
            properties.append(name)
        elif callable(getattr(cls, name)) and not inspect.isclass(member):
            try:
                methods[name] = parameters(getattr(cls, name))
            except (TypeError, ValueError):
                continue
    own_init = is_lightnings(next(each for each in cls.__mro__ if "__init__" in each.__dict__))
    file = inspect.getsourcefile(cls).split("site-packages/lightning/")[-1]
    return {
        "file": file,
        "constructor": parameters(cls.__init__) if own_init else [],
        "methods": methods,
        "properties": properties,
    }


def base_of(cls):
    for base in (callbacks.ProgressBar, pl.Callback, loggers.Logger, profilers.Profiler):
        if issubclass(cls, base) and cls is not base:
            return base
    return None


print(
    json.dumps(
        {
            "version": pl.__version__,
            "sections": {
                section: {cls.__name__: describe(cls, base_of(cls)) for cls in dict.fromkeys(classes)}
                for section, classes in SECTIONS.items()
            },
            "functions": {function.__name__: parameters(function) for function in FUNCTIONS},
        },
        indent=1,
    )
)
