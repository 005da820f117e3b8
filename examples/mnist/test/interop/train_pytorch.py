"""Trains the network of the example in plain PyTorch and prints the losses: `train_pytorch.py MNIST_FOLDER STEPS`.

Twice: with the fused kernel of Adam, and with the one that PyTorch takes by default on a CPU.
"""

import json
import sys

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

folder, steps = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)


def block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def make_net():
    return nn.Sequential(
        block(1, 16),
        block(16, 32),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(128, 10),
    )


images = numpy.fromfile(f"{folder}/train-images-idx3-ubyte", dtype=numpy.uint8)[16:].reshape(-1, 1, 28, 28)
labels = numpy.fromfile(f"{folder}/train-labels-idx1-ubyte", dtype=numpy.uint8)[8:]
digits = TensorDataset(((torch.from_numpy(images) / 255) - 0.1307) / 0.3081, torch.from_numpy(labels).long())
train, _ = random_split(digits, [55_000, 5_000], generator=torch.Generator().manual_seed(42))


def train_net(fused):
    torch.manual_seed(42)
    net = make_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, fused=fused)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for batch, targets in DataLoader(train, batch_size=128, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if len(losses) == steps:
            return losses


json.dump({"fused": train_net(True), "plain": train_net(False)}, sys.stdout)
