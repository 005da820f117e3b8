"""Trains the net of checkpoint.test.ts with PyTorch Lightning: `lightning_run.py FOLDER EPOCHS [CHECKPOINT]`.

Writes into the folder: `checkpoints/` (one per epoch), `state.pt` (the state dict at the end), `csv/metrics.csv`.
"""

import logging
import sys
import warnings

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

folder, epochs = sys.argv[1], int(sys.argv[2])
checkpoint = sys.argv[3] if len(sys.argv) > 3 else None


class Net(LightningModule):
    def __init__(self, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.features = nn.Sequential(nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width * 36, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]


torch.manual_seed(0)
torch.set_num_threads(1)
net = Net()
images, labels = torch.randn(40, 1, 8, 8), torch.randint(0, 3, (40,))
data = TensorDataset(images, labels)
trainer = Trainer(
    accelerator="cpu",
    max_epochs=epochs,
    logger=CSVLogger(folder, name="csv", version=""),
    log_every_n_steps=2,
    callbacks=[
        ModelCheckpoint(dirpath=f"{folder}/checkpoints", filename="{epoch}", save_top_k=-1),
        EarlyStopping("val_loss", patience=10),
        LearningRateMonitor(),
    ],
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(net, DataLoader(data, batch_size=8), DataLoader(data, batch_size=20), ckpt_path=checkpoint)
torch.save(net.state_dict(), f"{folder}/state.pt")
