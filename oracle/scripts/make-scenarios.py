"""Writes random scenarios of the form of fixtures/hooks, to hold levin against Lightning where nobody thought of it.

    python make-scenarios.py FOLDER [COUNT] [SEED]      # writes FOLDER/scenarios/random-N.json
    python ../fixtures/hooks/record.py FOLDER           # what Lightning does in them
    npm run oracle -- hooks FOLDER                      # what levin does
"""

import json
import pathlib
import random
import sys

TRAINING_HOOKS = [
    "training_step",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_start",
    "on_train_epoch_end",
    "on_train_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "optimizer_step",
    "configure_gradient_clipping",
]
VALIDATION_HOOKS = [
    "validation_step",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_start",
    "on_validation_epoch_end",
    "on_validation_start",
]
TEST_HOOKS = ["test_step", "on_test_batch_end", "on_test_epoch_end", "on_test_epoch_start", "on_test_start"]
FORBIDDEN_HOOKS = ["setup", "on_fit_start", "on_train_end", "on_fit_end", "on_validation_end", "predict_step", "configure_model"]
ACTIONS = ["raise", "interrupt", "stop", "return -1", "return none"]
PLACES = {
    "raise": ["training_step", "validation_step", "on_train_start", "on_train_epoch_end", "on_validation_epoch_end", "setup", "on_train_batch_end", "on_before_optimizer_step", "on_fit_start", "on_train_end", "on_test_epoch_end", "on_save_checkpoint", "on_validation_start"],
    "interrupt": ["training_step", "validation_step", "on_train_batch_end", "on_train_epoch_end", "on_validation_epoch_end"],
    "stop": ["training_step", "on_train_batch_end", "on_train_epoch_end", "on_validation_epoch_end", "on_train_start", "validation_step", "on_train_epoch_start", "on_validation_batch_end"],
    "return -1": ["on_train_batch_start"],
    "return none": ["training_step", "validation_step", "test_step"],
}


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, p):
        return self.random.random() < p

    def pick(self, *values):
        return self.random.choice(values)

    def lengths(self, several=0.25):
        return [self.random.randint(1, 4) for _ in range(2 if self.chance(several) else 1)]

    def data(self):
        data = {"train": self.lengths(0.15)}
        if self.chance(0.75):
            data["val"] = self.lengths()
        if self.chance(0.25):
            data["test"] = self.lengths()
        if self.chance(0.2):
            data["predict"] = self.lengths()
        if len(data["train"]) > 1 and self.chance(0.6):
            data["mode"] = self.pick("max_size_cycle", "min_size", "max_size")
        if self.chance(0.12):
            data["iterable"] = True
        if self.chance(0.1):
            data["as_list"] = True
        return data

    def logs(self, data):
        hooks = list(TRAINING_HOOKS)
        if "val" in data:
            hooks += VALIDATION_HOOKS * 2
        if "test" in data:
            hooks += TEST_HOOKS
        entries = []
        for i in range(self.pick(0, 1, 1, 2, 3)):
            entry = {"in": self.random.choice(hooks if self.chance(0.97) else FORBIDDEN_HOOKS), "name": f"m{i}" if self.chance(0.9) else "m0"}
            entry["value"] = self.pick("loss", "batch", "epoch", 1.5, -2)
            # before the first step there is no loss
            if entry["value"] == "loss" and (entry["in"].endswith("_start") or entry["in"] in FORBIDDEN_HOOKS):
                entry["value"] = "epoch"
            for flag in ("on_step", "on_epoch"):
                if self.chance(0.35):
                    entry[flag] = self.chance(0.6)
            if self.chance(0.3):
                entry["prog_bar"] = True
            if self.chance(0.1):
                entry["logger"] = False
            if self.chance(0.25):
                entry["reduce_fx"] = self.pick("min", "max", "sum", "mean")
            if self.chance(0.15):
                entry["batch_size"] = self.pick(1, 3)
            if self.chance(0.05):
                entry["add_dataloader_idx"] = False
            entries.append(entry)
        return entries

    def module(self, data):
        module = {}
        manual = self.chance(0.15)
        if manual:
            module["automatic_optimization"] = False
            if self.chance(0.4):
                module["toggle"] = True
            if self.chance(0.2):
                module["clip"] = 0.5
        if manual and self.chance(0.5):
            module["optimizers"] = [{"lr": 0.1, "part": 0}, {"lr": 0.05, "part": 1}]
        if self.chance(0.35):
            kind, args = self.pick(("StepLR", {"step_size": 2, "gamma": 0.5}), ("ExponentialLR", {"gamma": 0.5}), ("CosineAnnealingLR", {"T_max": 4}), ("ReduceLROnPlateau", {"patience": 0, "factor": 0.5}))
            scheduler = {"kind": kind, "args": args}
            if self.chance(0.5):
                scheduler["interval"] = self.pick("step", "epoch")
            if self.chance(0.4):
                scheduler["frequency"] = self.pick(1, 2, 3)
            if self.chance(0.2):
                scheduler["name"] = "rate"
            if kind == "ReduceLROnPlateau":
                if manual:
                    scheduler["kind"], scheduler["args"] = "ExponentialLR", {"gamma": 0.5}
                else:
                    scheduler["monitor"] = "m0"
                    if self.chance(0.5):
                        scheduler["strict"] = self.chance(0.5)
            module["schedulers"] = [scheduler]
        module["log"] = self.logs(data)
        if self.chance(0.25):
            do = self.random.choice(ACTIONS)
            action = {"in": self.random.choice(PLACES[do]), "do": do}
            if self.chance(0.6):
                action["epoch"] = self.pick(0, 1)
            if self.chance(0.5) and ("batch" in action["in"] or "step" in action["in"]):
                action["batch"] = self.pick(0, 1, 2)
            module["act"] = [action]
        if self.chance(0.1):
            module["dict_output"] = True
        if self.chance(0.1):
            module["hparams"] = {"a": 1, "b": "two"}
        return {key: value for key, value in module.items() if value != []}

    def callbacks(self, module):
        made = [{"Recorder": {"name": "a"}}]
        names = [entry["name"] for entry in module.get("log", [])]
        if self.chance(0.5):
            args = {}
            if names and self.chance(0.6):
                args["monitor"] = self.random.choice(names)
                if self.chance(0.3):
                    args["mode"] = "max"
                if self.chance(0.3):
                    args["filename"] = "{epoch}-{step}-{" + args["monitor"] + ":.2f}"
            if self.chance(0.5):
                args["save_top_k"] = self.pick(-1, 0, 1, 2) if "monitor" in args else self.pick(-1, 0, 1)
            if self.chance(0.3):
                args["save_last"] = self.pick(True, "link", False)
            if self.chance(0.45):
                args.update(self.pick({"every_n_train_steps": 1}, {"every_n_train_steps": 2}, {"every_n_train_steps": 3}, {"every_n_epochs": 2}, {"every_n_epochs": 1}))
            if self.chance(0.2):
                args["save_on_train_epoch_end"] = self.chance(0.6)
            if self.chance(0.15):
                args["save_weights_only"] = True
            if self.chance(0.1):
                args["auto_insert_metric_name"] = False
            if self.chance(0.1):
                args["save_on_exception"] = True
            made.append({"ModelCheckpoint": args})
        if names and self.chance(0.2):
            args = {"monitor": self.random.choice(names), "patience": self.pick(0, 1, 2)}
            if self.chance(0.4):
                args["mode"] = "max"
            if self.chance(0.3):
                args["min_delta"] = 0.1
            if self.chance(0.2):
                args["stopping_threshold"] = 0.5
            if self.chance(0.2):
                args["strict"] = False
            if self.chance(0.2):
                args["check_on_train_epoch_end"] = self.chance(0.5)
            made.append({"EarlyStopping": args})
        if module.get("schedulers") and self.chance(0.3):
            made.append({"LearningRateMonitor": self.pick({}, {"logging_interval": "step"}, {"logging_interval": "epoch"})})
        if self.chance(0.08) and module.get("automatic_optimization", True):
            made.append({"GradientAccumulationScheduler": {"scheduling": self.pick({"1": 2}, {"0": 2, "1": 1})}})
        if self.chance(0.3):
            made.append({"Recorder": {"name": "b"}})
        return made

    def trainer(self, data, module, callbacks):
        flags = {"max_epochs": self.pick(1, 2, 2, 3)}
        if self.chance(0.15):
            flags["max_steps"] = self.pick(1, 3, 5, 0)
            if self.chance(0.4):
                del flags["max_epochs"]
        if self.chance(0.12):
            flags["min_epochs"] = self.pick(1, 2)
        if self.chance(0.08):
            flags["min_steps"] = self.pick(2, 5)
        if self.chance(0.2) and module.get("automatic_optimization", True) and not any("GradientAccumulationScheduler" in c for c in callbacks):
            flags["accumulate_grad_batches"] = self.pick(2, 3)
        if self.chance(0.15) and module.get("automatic_optimization", True):
            flags["gradient_clip_val"] = self.pick(0.1, 0.5)
            if self.chance(0.4):
                flags["gradient_clip_algorithm"] = self.pick("value", "norm")
        if self.chance(0.2):
            flags["val_check_interval"] = self.pick(0.5, 1, 2, 0.25)
            if isinstance(flags["val_check_interval"], int) and self.chance(0.4):
                flags["check_val_every_n_epoch"] = None
        elif self.chance(0.15):
            flags["check_val_every_n_epoch"] = 2
        for name in ("limit_train_batches", "limit_val_batches"):
            if self.chance(0.12):
                flags[name] = self.pick(1, 2, 0.5, 0)
        if self.chance(0.25):
            flags["num_sanity_val_steps"] = self.pick(0, 1, -1)
        if self.chance(0.15):
            flags["log_every_n_steps"] = self.pick(2, 3)
        if self.chance(0.05):
            flags["overfit_batches"] = self.pick(1, 2)
        if self.chance(0.05):
            flags["fast_dev_run"] = self.pick(True, 2)
        if self.chance(0.08):
            flags["reload_dataloaders_every_n_epochs"] = self.pick(1, 2)
        if self.chance(0.08):
            flags["precision"] = self.pick("64-true", "bf16-mixed", "bf16-true")
        if self.chance(0.06):
            flags["detect_anomaly"] = True
        if self.chance(0.05):
            flags["inference_mode"] = False
        return flags

    def calls(self, data, callbacks):
        calls = [{"fit": {}}]
        saves = any("ModelCheckpoint" in c for c in callbacks)
        if saves and self.chance(0.35):
            calls.append({"fit": {"new_trainer": self.chance(0.8), "ckpt": self.pick("last", "best"), "trainer": {"max_epochs": self.pick(3, 4)}}})
        elif self.chance(0.1):
            calls.append({"fit": {"trainer": {"max_epochs": 4}, "new_trainer": self.chance(0.5)}})
        for stage, method in (("val", "validate"), ("test", "test"), ("predict", "predict")):
            if self.chance(0.7 if stage in data and stage != "val" else 0.1):
                options = {"ckpt": self.pick("best", "last")} if saves and self.chance(0.3) else {}
                calls.append({method: options})
        if self.chance(0.1):
            self.random.shuffle(calls)
        return calls

    def scenario(self, name):
        data = self.data()
        module = self.module(data)
        callbacks = self.callbacks(module)
        scenario = {"name": name, "data": data, "module": module, "callbacks": callbacks, "trainer": self.trainer(data, module, callbacks), "calls": self.calls(data, callbacks)}
        if self.chance(0.15):
            scenario["datamodule"] = True
        if self.chance(0.1):
            scenario["leave"] = self.random.sample(["configure_gradient_clipping", "transfer_batch_to_device", "optimizer_step", "on_train_batch_start", "backward", "on_validation_model_eval", "on_validation_model_train"], 3)
        return scenario


def main(folder, count=100, seed=0):
    scenarios = pathlib.Path(folder) / "scenarios"
    scenarios.mkdir(parents=True, exist_ok=True)
    for i in range(int(count)):
        number = int(seed) + i
        name = f"random-{number}"
        (scenarios / f"{name}.json").write_text(json.dumps(Maker(number).scenario(name), indent=1))


main(*sys.argv[1:])
