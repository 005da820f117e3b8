"""Prints the summaries of the modules of model-summary.test.ts by Lightning, as JSON: name -> text."""

import json
import sys

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_summary import ModelSummary
from torch import nn

# the counter of operations does not see into the fused operator of this path, and would count 0
torch.backends.mha.set_fastpath_enabled(False)


class Convolutions(LightningModule):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, groups=4),
            nn.ConvTranspose2d(32, 8, 2, stride=2),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1250))
        self.scale = nn.Parameter(torch.ones(1250))
        self.features[0].requires_grad_(False)
        self.features[1].eval()
        self.example_input_array = torch.zeros(2, 3, 32, 32)

    def forward(self, x):
        return self.head(self.features(x)) * self.scale


class Pairs(LightningModule):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(128, 1024)
        self.lstm = nn.LSTM(1024, 64)
        self.unused = nn.Linear(3, 3)
        self.example_input_array = (torch.zeros(5, 2, 128), torch.zeros(5, 2, 128))

    def forward(self, x, y):
        out, _ = self.lstm(self.shared(x) + self.shared(y))
        return out @ out.transpose(1, 2)


class Attention(LightningModule):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm = nn.LayerNorm(32)
        self.example_input_array = torch.zeros(2, 7, dtype=torch.long)

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.norm(x + self.attention(x, x, x)[0])


class Empty(LightningModule):
    pass


json.dump(
    {
        f"{make.__name__} {depth}": str(ModelSummary(make(), max_depth=depth))
        for make in (Convolutions, Pairs, Attention, Empty)
        for depth in (0, 1, 2, -1)
    },
    sys.stdout,
)
