"""Writes with PyTorch's SummaryWriter what the test writes with levin: `write_events.py FOLDER VALUES`, values as JSON."""

import json
import sys

import torch
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter(sys.argv[1])
writer.add_histogram("weights", torch.tensor(json.loads(sys.argv[2])), 3)
writer.close()
