"""Evaluates the Python expressions of a file and records the results.

    python record_expressions.py EXPRESSIONS FOLDER

Each line is an expression, or `name = expression`; the random numbers of each start anew from the same seed.
"""
import math
import pathlib
import sys
import warnings

import torch
from torch.nn import functional as F
from recording import Recording

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
recording = Recording(seed=1234)
names = {"torch": torch, "F": F, "math": math}
for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
    if not line or line.startswith("#"):
        continue
    torch.manual_seed(recording.seed)
    name, is_assignment, expression = line.partition(" = ")
    if is_assignment and name.isidentifier():
        names[name] = eval(expression, names)
        recording.calls.append({"name": name, "expression": expression})
    else:
        recording.calls.append({"expression": line, "result": recording.encode(eval(line, names))})
recording.write(pathlib.Path(sys.argv[2]))
