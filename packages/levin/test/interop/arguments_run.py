"""Gives PyTorch Lightning the arguments of arguments.test.ts: `arguments_run.py CASES FOLDER`, CASES as JSON: `[[class, arguments], ...]`.

Prints, for each, when an error came (null: none), and the error: `[["construction" | "before training" | "training" | null, message], ...]`.
"""

import contextlib
import io
import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import torch
from lightning.pytorch import LightningModule, Trainer, callbacks, loggers
from torch.utils.data import DataLoader

for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
torch.set_num_threads(1)
folder = sys.argv[2]
os.chdir(folder)


class Net(LightningModule):
    started = False

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.batch_size = 1
        self.lr = 0.1

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch).pow(2).mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("v", self.layer(batch).mean())

    def on_train_start(self):
        Net.started = True

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self):
        return DataLoader(torch.ones(4, 4), batch_size=2)

    def val_dataloader(self):
        return DataLoader(torch.ones(2, 4), batch_size=2)


def construct(kind, args):
    flags = {"accelerator": "cpu", "max_steps": 4, "max_epochs": 2, "default_root_dir": folder}
    if not args.get("barebones"):
        flags.update(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0)
    if kind == "Trainer":
        return Trainer(**{**flags, **args})
    if hasattr(loggers, kind):
        return Trainer(**{**flags, "logger": getattr(loggers, kind)(**args)})
    if isinstance(args.get("scheduling"), dict):
        args["scheduling"] = {(int(key) if key.lstrip("-").isdigit() else float(key)): value for key, value in args["scheduling"].items()}
    callback = getattr(callbacks, kind)(**args)
    flags["enable_checkpointing"] = isinstance(callback, callbacks.Checkpoint)
    flags["enable_progress_bar"] = isinstance(callback, callbacks.ProgressBar)
    return Trainer(**{**flags, "callbacks": callback})


def run(kind, args):
    Net.started = False
    when = "construction"
    try:
        trainer = construct(kind, args)
        when = "before training"
        trainer.fit(Net())
    except (Exception, SystemExit) as error:
        return ["training" if Net.started else when, f"{type(error).__name__}: {error}"[:200]]
    return [None, ""]


with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    outcomes = [run(kind, args) for kind, args in json.loads(sys.argv[1])]
print(json.dumps(outcomes))
