"""Runs the scenarios of callbacks.test.ts with PyTorch Lightning: `callbacks_run.py FOLDER`.

Writes `NAME.pt` for each: the state dict at the end, what the callback keeps in the last checkpoint, and what was logged.
"""

import logging
import os
import sys
import warnings

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BasePredictionWriter,
    EMAWeightAveraging,
    ModelCheckpoint,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
torch.set_num_threads(1)


class Net(LightningModule):
    def __init__(self, batch_norm=False, partial=False):
        super().__init__()
        layers = [nn.Linear(4, 8), nn.BatchNorm1d(8) if batch_norm else nn.Tanh()]
        self.backbone = nn.Sequential(*layers)
        self.head = nn.Linear(8, 3)
        self.partial = partial
        self.losses = []

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.losses.append(nn.functional.cross_entropy(self(batch[0]), batch[1]).item())

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return self(batch[0])

    def configure_optimizers(self):
        parameters = [p for p in self.parameters() if p.requires_grad] if self.partial else self.parameters()
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def data():
    return TensorDataset(torch.randn(40, 4), torch.randint(0, 3, (40,)))


def run(name, callback, epochs=6, resume=None, scheduler=False, accumulate=1, **net):
    torch.manual_seed(0)
    module = Net(**net)
    if scheduler:
        plain = module.configure_optimizers

        def configure():
            optimizer = plain()
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)]

        module.configure_optimizers = configure
    rows = data()
    checkpoint = ModelCheckpoint(dirpath=f"{folder}/{name}", filename="{epoch}", save_top_k=-1)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=[callback(), checkpoint],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accumulate_grad_batches=accumulate,
    )
    path = resume and f"{folder}/{resume}"
    trainer.fit(module, DataLoader(rows, batch_size=8), DataLoader(rows, batch_size=20), ckpt_path=path)
    last = torch.load(checkpoint.best_model_path, weights_only=False)
    state = {key: value for key, value in last["callbacks"].items() if not key.startswith("ModelCheckpoint")}
    groups = [group["lr"] for group in trainer.optimizers[0].param_groups]
    torch.save(
        {
            "state": module.state_dict(),
            "callback": state,
            "losses": module.losses,
            "lrs": groups,
            "keys": sorted(last),
            "saved": last["state_dict"],
        },
        f"{folder}/{name}.pt",
    )


def copy_param(new, old, name):
    # Lightning's own takes no copy where both are on the CPU, so that the first values are lost by training on; on a GPU it does
    target = getattr(new, name + "_orig", None)
    (getattr(new, name) if target is None else target).data = getattr(old, name).data.clone()


ModelPruning._copy_param = staticmethod(copy_param)


def prune(**options):
    return lambda: ModelPruning(options.pop("fn", "l1_unstructured"), amount=0.3, **options)


run("swa", lambda: StochasticWeightAveraging(0.05, swa_epoch_start=0.5, annealing_epochs=2), scheduler=True)
run("swa-linear", lambda: StochasticWeightAveraging([0.05], swa_epoch_start=2, annealing_strategy="linear"))
run("swa-batch-norm", lambda: StochasticWeightAveraging(0.05, swa_epoch_start=3), batch_norm=True, accumulate=2)
run("swa-resumed", lambda: StochasticWeightAveraging(0.05, swa_epoch_start=0.5, annealing_epochs=2), resume="swa/epoch=4.ckpt", scheduler=True)
run("average", WeightAveraging, batch_norm=True)
run("average-resumed", WeightAveraging, batch_norm=True, resume="average/epoch=2.ckpt")
run("ema", lambda: EMAWeightAveraging(decay=0.9, update_every_n_steps=2, update_starting_at_step=3, update_starting_at_epoch=1))
run("backbone", lambda: BackboneFinetuning(2, lambda epoch: 1.7, train_bn=False), partial=True, batch_norm=True)
run("backbone-resumed", lambda: BackboneFinetuning(2, lambda epoch: 1.7, train_bn=False), partial=True, batch_norm=True, resume="backbone/epoch=3.ckpt")
run("prune", prune())
run("prune-kept", prune(use_lottery_ticket_hypothesis=False, make_pruning_permanent=False, parameter_names=["weight"]))
run("prune-local", prune(fn="ln_structured", use_global_unstructured=False, pruning_dim=0, pruning_norm=2, parameter_names=["weight"], prune_on_train_epoch_end=False))


class Writer(BasePredictionWriter):
    def __init__(self):
        super().__init__("batch_and_epoch")
        self.written = []

    def write_on_batch_end(self, trainer, pl_module, prediction, batch_indices, batch, batch_idx, dataloader_idx):
        self.written.append([batch_indices, batch_idx, dataloader_idx, list(prediction.shape)])

    def write_on_epoch_end(self, trainer, pl_module, predictions, batch_indices):
        self.written.append([batch_indices, [[len(batch) for batch in loader] for loader in predictions]])


torch.manual_seed(0)
writer, module = Writer(), Net()
rows = data()
trainer = Trainer(accelerator="cpu", logger=False, callbacks=writer, enable_progress_bar=False, enable_model_summary=False)
loaders = [DataLoader(rows, batch_size=16, drop_last=True), DataLoader(rows, batch_size=24)]
returned = trainer.predict(module, loaders, return_predictions=False)
torch.save({"written": writer.written, "returned": returned}, f"{folder}/writer.pt")
