"""Runs what tools.test.ts runs with PyTorch Lightning and prints, as JSON, what profilers recorded and tuners found."""

import json
import logging
import sys
import warnings

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder, ModelCheckpoint
from lightning.pytorch.profilers import SimpleProfiler
from lightning.pytorch.tuner import Tuner
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

folder = sys.argv[1]
torch.set_num_threads(1)


class Net(LightningModule):
    def __init__(self, shuffle=False, rows=64, most=10**9):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        self.lr = 0.01
        self.batch_size = 8
        self.shuffle = shuffle
        self.most = most
        self.sizes = []
        self.rows = TensorDataset(torch.randn(rows, 4), torch.randint(0, 3, (rows,)))

    def forward(self, x):
        return self.net(x)

    def loss(self, batch):
        self.sizes.append(len(batch[0]))
        if len(batch[0]) > self.most:
            raise RuntimeError("CUDA out of memory.")
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.loss(batch)

    def test_step(self, batch, batch_idx):
        self.loss(batch)

    def predict_step(self, batch, batch_idx):
        return self.loss(batch)

    def on_train_start(self):
        pass

    def train_dataloader(self):
        return DataLoader(self.rows, batch_size=self.batch_size, shuffle=self.shuffle)

    def val_dataloader(self):
        return DataLoader(self.rows, batch_size=self.batch_size)

    test_dataloader = predict_dataloader = val_dataloader

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class Own(Callback):
    def on_train_start(self, *args):
        pass


def make(callbacks=None, **flags):
    return Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **flags,
    )


def profile():
    torch.manual_seed(0)
    profiler = SimpleProfiler(dirpath=folder, filename="simple")
    checkpoint = ModelCheckpoint(dirpath=f"{folder}/profiled")
    trainer = make([Own(), checkpoint], max_epochs=2, accumulate_grad_batches=2, profiler=profiler)
    module = Net(rows=32)
    counts = {}
    for name in ["fit", "validate", "test", "predict"]:
        before = {key: len(value) for key, value in profiler.recorded_durations.items()}
        getattr(trainer, name)(module)
        now = {key: len(value) - before.get(key, 0) for key, value in profiler.recorded_durations.items()}
        counts[name] = {key: count for key, count in now.items() if count > 0}
    return counts


def weights(module):
    return [value for parameter in module.parameters() for value in parameter.flatten().tolist()]


def find_lr(flags=None, net=None, **options):
    torch.manual_seed(0)
    module = Net(**(net or {}))
    trainer = make(max_epochs=2, enable_checkpointing=False, **(flags or {}))
    finder = Tuner(trainer).lr_find(module, **options)
    found = {"results": finder.results, "suggestion": finder.suggestion(), "lr": module.lr, "after": weights(module)}
    trainer.fit(module)
    return {**found, "trained": weights(module), "step": trainer.global_step}


def fit_with_finder():
    torch.manual_seed(0)
    module = Net(shuffle=True)
    finder = LearningRateFinder(num_training_steps=30)
    trainer = make(finder, max_epochs=2, enable_checkpointing=False)
    trainer.fit(module)
    return {"lr": module.lr, "trained": weights(module), "step": trainer.global_step}


def scale(method="fit", net=None, **options):
    torch.manual_seed(0)
    module = Net(**(net or {}))
    trainer = make(max_epochs=1, enable_checkpointing=False)
    size = Tuner(trainer).scale_batch_size(module, method=method, **options)
    return {"size": size, "own": module.batch_size, "sizes": module.sizes, "after": weights(module)}


def run_with_finder(method):
    torch.manual_seed(0)
    module = Net(most=20)
    trainer = make(BatchSizeFinder(mode="binsearch", margin=0.0, steps_per_trial=2), max_epochs=2, enable_checkpointing=False, num_sanity_val_steps=0)
    getattr(trainer, method)(module)
    return {"own": module.batch_size, "sizes": module.sizes, "after": weights(module), "step": trainer.global_step}


json.dump(
    {
        "profile": profile(),
        "lr": {
            "exponential": find_lr(),
            "linear": find_lr(mode="linear", min_lr=1e-4, max_lr=0.5, num_training=40, early_stop_threshold=None),
            "accumulate": find_lr({"accumulate_grad_batches": 2}, {"shuffle": True}, num_training=20, update_attr=False),
            "diverging": find_lr(max_lr=100, num_training=60, early_stop_threshold=1.5),
        },
        "fit": fit_with_finder(),
        "batch": {
            "power": scale(net={"most": 20}),
            "halved": scale(net={"most": 3}, init_val=16, steps_per_trial=1),
            "dataset": scale(net={"rows": 20}),
            "limited": scale(max_val=16),
            "trials": scale(max_trials=2),
            "binsearch": scale(mode="binsearch", net={"most": 21}),
            "binsearch-trials": scale(mode="binsearch", max_trials=3, margin=0.3),
            "validate": scale("validate", net={"most": 20}),
            "test": scale("test", net={"most": 20}, mode="binsearch"),
            "predict": scale("predict", net={"most": 20}),
        },
        "callback": {method: run_with_finder(method) for method in ["fit", "validate", "test", "predict"]},
    },
    sys.stdout,
)
