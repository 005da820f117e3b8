"""Reads configurations of loaders from standard input, and writes what torch.utils.data gives for each: batches, and a random number after each epoch."""
import json
import sys
import warnings

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, get_worker_info
from torch.utils.data import RandomSampler, SubsetRandomSampler, WeightedRandomSampler
from torch.utils.data.distributed import DistributedSampler

warnings.filterwarnings("ignore")


def trace(index):
    info = get_worker_info()
    return torch.tensor([index, info.id, info.seed] if info else [index, -1, -1]), torch.rand(1, dtype=torch.float64) if info else torch.zeros(1)


class Rows(Dataset):
    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return trace(index)


class Stream(IterableDataset):
    """Worker w of n gets every n-th number from w on; the first one only the first `short` of its numbers."""

    def __init__(self, length, short):
        self.length, self.short = length, short

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for place, i in enumerate(range(first, self.length, step)):
            if first == 0 and self.short is not None and place >= self.short:
                return
            yield trace(i)


def sampler_of(c, dataset, generator):
    kind = c["sampler"]
    if kind == "random":
        return RandomSampler(dataset, replacement=c["replacement"], num_samples=c["num_samples"], generator=generator)
    if kind == "weighted":
        weights = [1.0 + i % 3 for i in range(c["n"])]
        return WeightedRandomSampler(weights, c["num_samples"], replacement=c["replacement"], generator=generator)
    if kind == "subset":
        return SubsetRandomSampler(list(range(0, c["n"], 2)), generator=generator)
    if kind == "distributed":
        return DistributedSampler(dataset, num_replicas=3, rank=c["rank"], shuffle=c["shuffle"], seed=5, drop_last=c["drop_last"])
    return None


def run(c):
    torch.manual_seed(c["seed"])
    generator = None if c["generator"] is None else torch.Generator().manual_seed(c["generator"])
    dataset = Stream(c["n"], c["short"]) if c["iterable"] else Rows(c["n"])
    sampler = sampler_of(c, dataset, generator)
    options = dict(batch_size=c["batch_size"], drop_last=c["drop_last"] and c["batch_size"] is not None)
    if c["batch_sampler"]:
        inner = sampler if sampler is not None else RandomSampler(dataset)
        options = dict(batch_sampler=BatchSampler(inner, c["batch_size"], c["drop_last"]))
    elif sampler is not None:
        options.update(sampler=sampler)
    elif not c["iterable"]:
        options.update(shuffle=c["shuffle"])
    if c["workers"] > 0:
        options.update(num_workers=c["workers"], prefetch_factor=c["prefetch"], persistent_workers=c["persistent"])
    loader = DataLoader(dataset, generator=generator, **options)
    epochs = []
    for epoch in range(c["epochs"]):
        if c["sampler"] == "distributed":
            sampler.set_epoch(epoch)
        batches = [[rows.tolist(), drawn.tolist()] for rows, drawn in loader]
        epochs.append({"batches": batches, "rand": torch.rand(1, dtype=torch.float64).item()})
    return {"length": None if c["iterable"] else len(loader), "epochs": epochs}


json.dump([run(c) for c in json.load(sys.stdin)], sys.stdout)
