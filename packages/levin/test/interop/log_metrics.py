"""Trains and tests a module that logs torchmetrics objects with PyTorch Lightning; prints what reached the logger and the callbacks.

usage: log_metrics.py BATCHES (a file of JSON: lists of [scores, labels], of training, of two validation loaders and of testing)
"""

import json
import logging
import sys
import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader
from torchmetrics import AUROC, Accuracy, F1Score, MeanMetric, MetricCollection, Precision, Recall

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

with open(sys.argv[1]) as file:
    given = json.load(file)
batches = {
    name: [DataLoader([(torch.tensor(x), torch.tensor(y)) for x, y in loader], batch_size=None) for loader in loaders]
    for name, loaders in given.items()
}


class Memory(Logger):
    name = "memory"
    version = 0

    def __init__(self):
        super().__init__()
        self.logged = []

    def log_metrics(self, metrics, step=None):
        self.logged.append([metrics, step])

    def log_hyperparams(self, *_):
        pass


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        options = {"task": "multiclass", "num_classes": 3}
        self.accuracy = Accuracy(**options)
        self.f1 = F1Score(**options, average="macro")
        self.loss = MeanMetric()
        self.scores = MetricCollection([Precision(**options, average="macro"), Recall(**options, average="macro")], prefix="train_")
        self.val_accuracy = torch.nn.ModuleList([Accuracy(**options), Accuracy(**options)])
        self.auroc = AUROC(**options)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(x * self.scale, y)
        self.accuracy(x, y)
        self.log("accuracy", self.accuracy, on_step=True, on_epoch=True, prog_bar=True)
        self.f1.update(x, y)
        self.log("f1", self.f1, on_step=False, on_epoch=True)
        self.loss(loss)
        self.log("loss", self.loss)
        self.scores(x, y)
        self.log_dict(self.scores, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx, dataloader_idx):
        x, y = batch
        self.val_accuracy[dataloader_idx](x, y)
        self.log("val_accuracy", self.val_accuracy[dataloader_idx])
        self.log("val_size", float(len(y)))

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.auroc.update(x, y)
        self.log("auroc", self.auroc, on_step=False, on_epoch=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


logger = Memory()
trainer = pl.Trainer(
    accelerator="cpu",
    max_epochs=2,
    logger=logger,
    log_every_n_steps=2,
    val_check_interval=2,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
module = Module()
trainer.fit(module, batches["train"][0], batches["val"])
numbers = lambda metrics: {name: float(value) for name, value in metrics.items()}
callbacks = numbers(trainer.callback_metrics)
results = trainer.test(module, batches["test"][0], verbose=False)
print("ANSWER" + json.dumps({"logged": logger.logged, "callbacks": callbacks, "tested": results}))
