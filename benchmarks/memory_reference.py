"""What a validation pass without gradients over a deep network needs under PyTorch Lightning; memory-child.ts does the same in levin.

Prints one JSON line: resident MB before the pass, at the peak, and the size of the parameters.
"""
import json
import logging
import os
import resource
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning as L
import torch
from torch import nn

WIDTH, DEPTH, ROWS, BATCHES = 1024, 40, 2048, 2


class Deep(L.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(*[part for _ in range(DEPTH) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())])

    def validation_step(self, batch, batch_idx):
        self.log("mean", self.net(batch).mean())


class Rows(torch.utils.data.Dataset):
    def __init__(self):
        self.rows = torch.randn(ROWS, WIDTH)

    def __len__(self):
        return ROWS * BATCHES

    def __getitem__(self, i):
        return self.rows[i % ROWS]


torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
module = Deep()
loader = torch.utils.data.DataLoader(Rows(), batch_size=ROWS)
with open("/proc/self/statm") as f:
    before = int(f.read().split()[1]) * resource.getpagesize() / 2**20
L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
          enable_model_summary=False).validate(module, loader, verbose=False)
print(json.dumps({"before": before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                  "parameters": sum(4 * p.numel() for p in module.parameters()) / 2**20}))
