"""Loads a checkpoint of levin into a PyTorch net and prints its keys: `load_checkpoint.py CHECKPOINT INPUT OUTPUT`.

INPUT and OUTPUT are files of tensors: what the net is given, and where to save what it gives.
"""

import json
import sys

import torch
from torch import nn

checkpoint = torch.load(sys.argv[1], weights_only=True)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width * 36, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


net = Net(**checkpoint["hyper_parameters"]).eval()
net.load_state_dict(checkpoint["state_dict"])
torch.set_num_threads(1)
with torch.no_grad():
    torch.save(net(torch.load(sys.argv[2])), sys.argv[3])
json.dump({"keys": list(checkpoint), "epoch": checkpoint["epoch"], "global_step": checkpoint["global_step"]}, sys.stdout)
