"""Writes random scenarios of the form of fixtures/hooks and fixtures/hooks-more, to hold levin against Lightning where nobody thought of it.

    python make-scenarios.py FOLDER [COUNT] [SEED]           # writes FOLDER/scenarios/random-N.json
    python ../fixtures/hooks-more/record.py FOLDER           # what Lightning does in them
    npm run oracle -- hooks FOLDER                           # what levin does
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
    "optimizer_zero_grad",
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
TEST_HOOKS = ["test_step", "on_test_batch_start", "on_test_batch_end", "on_test_epoch_end", "on_test_epoch_start", "on_test_start"]
PREDICT_HOOKS = ["predict_step", "on_predict_batch_end", "on_predict_epoch_start", "on_predict_epoch_end", "on_predict_start", "on_predict_end"]
# where log is forbidden, or nobody would think of it
OTHER_HOOKS = [
    "setup",
    "teardown",
    "prepare_data",
    "configure_model",
    "configure_callbacks",
    "on_fit_start",
    "on_fit_end",
    "on_train_end",
    "on_validation_end",
    "on_test_end",
    "on_save_checkpoint",
    "on_load_checkpoint",
    "backward",
    "lr_scheduler_step",
    "on_before_batch_transfer",
    "on_after_batch_transfer",
    "transfer_batch_to_device",
    "on_validation_model_eval",
    "on_validation_model_train",
    "on_validation_model_zero_grad",
    *PREDICT_HOOKS,
]
# where a step has run before, so that there is a loss
AFTER_STEPS = {
    "training_step",
    "on_train_batch_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "validation_step",
    "on_validation_batch_end",
    "test_step",
    "on_test_batch_end",
    "on_train_epoch_end",
}
ACTIONS = ["raise", "interrupt", "stop", "return -1", "return none", "nan"]
PLACES = {
    "raise": TRAINING_HOOKS + VALIDATION_HOOKS + TEST_HOOKS + OTHER_HOOKS,
    "interrupt": TRAINING_HOOKS + VALIDATION_HOOKS + ["on_fit_start", "setup", "on_train_end", "on_validation_end", "test_step", "predict_step", "on_save_checkpoint"],
    "stop": TRAINING_HOOKS + VALIDATION_HOOKS + ["on_fit_start", "setup", "on_validation_end", "on_train_end", "on_save_checkpoint"],
    "return -1": ["on_train_batch_start"],
    "return none": ["training_step", "validation_step", "test_step", "predict_step", "on_before_batch_transfer", "on_after_batch_transfer"],
    "nan": ["training_step"],
}
SCHEDULERS = [
    ("StepLR", {"step_size": 2, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.5}),
    ("CosineAnnealingLR", {"T_max": 4}),
    ("MultiStepLR", {"milestones": [1, 3], "gamma": 0.1}),
    ("LinearLR", {"start_factor": 0.5, "total_iters": 3}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 2}),
    ("PolynomialLR", {"total_iters": 4, "power": 2.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.2, "total_steps": 40, "cycle_momentum": False}),
    ("ReduceLROnPlateau", {"patience": 0, "factor": 0.5}),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.1, "mode": "max"}),
]
NEVER, ALWAYS = "10:00:00:00", "00:00:00:00"


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, p):
        return self.random.random() < p

    def pick(self, *values):
        return self.random.choice(values)

    def length(self):
        return 0 if self.chance(0.02) else self.random.randint(1, 5)

    def lengths(self, several=0.25):
        return [self.length() for _ in range(self.pick(2, 2, 3) if self.chance(several) else 1)]

    def nested(self, depth=0):
        """Numbers of batches in the structure of loaders."""
        if depth > 0 and self.chance(0.5 + 0.2 * depth):
            return self.length()
        parts = [self.nested(depth + 1) for _ in range(self.pick(1, 2, 2, 3))]
        return parts if self.chance(0.5) else dict(zip("abc", parts))

    def data(self):
        data = {"train": self.lengths(0.3)}
        if self.chance(0.75):
            data["val"] = self.lengths()
        if self.chance(0.25):
            data["test"] = self.lengths()
        if self.chance(0.2):
            data["predict"] = self.lengths()
        if self.chance(0.2):
            for stage in self.random.sample(list(data), self.random.randint(1, len(data))):
                data[stage] = self.nested()
            return data
        if len(data["train"]) > 1 and self.chance(0.7):
            data["mode"] = self.pick("max_size_cycle", "min_size", "max_size", "max_size_cycle", "min_size", "max_size", "sequential")
        if self.chance(0.2):
            data["iterable"] = True
        if self.chance(0.1):
            data["as_list"] = True
        return data

    def logs(self, data, calls):
        hooks = list(TRAINING_HOOKS)
        if "val" in data:
            hooks += VALIDATION_HOOKS * 2
        if "test" in data:
            hooks += TEST_HOOKS
        entries = []
        for i in range(self.pick(0, 1, 1, 2, 3, 4)):
            entry = {"in": self.random.choice(hooks if self.chance(0.95) else OTHER_HOOKS), "name": f"m{i}" if self.chance(0.9) else self.pick("m0", "m0/dataloader_idx_0", "m0_step", "m0_epoch", "epoch", "step", "loss")}
            entry["value"] = self.pick("loss", "batch", "epoch", 1.5, -2, 0, "nan" if self.chance(0.3) else "loss")
            if entry["value"] == "loss" and entry["in"] not in AFTER_STEPS:
                entry["value"] = "epoch"
            # most of these would be errors where a hook is called once per epoch
            allows_steps = "step" in entry["in"] or "batch" in entry["in"] or "backward" in entry["in"]
            for flag in ("on_step", "on_epoch"):
                if self.chance(0.4 if allows_steps else 0.05):
                    entry[flag] = self.chance(0.7)
                elif self.chance(0.03):
                    entry[flag] = None
            if self.chance(0.3):
                entry["prog_bar"] = True
            if self.chance(0.1):
                entry["logger"] = self.pick(False, True, None)
            if self.chance(0.25):
                entry["reduce_fx"] = self.pick("min", "max", "sum", "mean", "max", "min", "avg" if self.chance(0.2) else "sum", "median" if self.chance(0.1) else "mean")
            if self.chance(0.15):
                entry["batch_size"] = self.pick(1, 3, 2, 0 if self.chance(0.2) else 5)
            if self.chance(0.06):
                entry["add_dataloader_idx"] = self.chance(0.2)
            if self.chance(0.06):
                entry["enable_graph"] = True
            if self.chance(0.05):
                entry["sync_dist"] = True
            if self.chance(0.05):
                entry["rank_zero_only"] = True
            entries.append(entry)
            if self.chance(0.08):
                entries.append({**entry, "in": self.random.choice(hooks), "value": 2})
        return entries

    def schedulers(self, manual):
        schedulers = []
        # the recorder's manual step takes one
        for _ in range(1 if manual else self.pick(1, 1, 1, 2, 3)):
            kind, args = self.random.choice(SCHEDULERS[: -2 if manual else None])
            scheduler = {"kind": kind, "args": args}
            if self.chance(0.6):
                scheduler["interval"] = self.pick("step", "epoch")
            if self.chance(0.5):
                scheduler["frequency"] = self.pick(1, 2, 3, 4)
            if self.chance(0.2):
                scheduler["name"] = self.pick("rate", "other")
            if kind == "ReduceLROnPlateau":
                if self.chance(0.95):
                    scheduler["monitor"] = self.pick("m0", "m0", "m1", "m0_epoch", "m0_step", "missing")
                if self.chance(0.5):
                    scheduler["strict"] = self.chance(0.4)
            elif self.chance(0.05):
                scheduler["monitor"] = "m0"
            schedulers.append(scheduler)
        return schedulers

    def module(self, data, calls):
        module = {}
        manual = self.chance(0.25)
        if manual:
            module["automatic_optimization"] = False
            if self.chance(0.4):
                module["toggle"] = True
            if self.chance(0.2):
                module["clip"] = self.pick(0.5, 0.05, 0)
        if self.chance(0.6 if manual else 0.03):
            module["optimizers"] = [{"lr": self.pick(0.1, 0.05)} if self.chance(0.2) else {"lr": self.pick(0.1, 0.05), "part": i % 2} for i in range(self.pick(2, 2, 3))]
        if self.chance(0.45):
            module["schedulers"] = self.schedulers(manual)
            for scheduler in module["schedulers"]:
                if len(module.get("optimizers", [])) > 1 and self.chance(0.5):
                    scheduler["optimizer"] = 1
        module["log"] = self.logs(data, calls)
        module["act"] = []
        for _ in range(self.pick(0, 0, 0, 0, 1, 1, 2)):
            do = self.random.choice(ACTIONS)
            action = {"in": self.random.choice(PLACES[do]), "do": do}
            if self.chance(0.7):
                action["epoch"] = self.pick(0, 1, 1, 2)
            if self.chance(0.6) and ("batch" in action["in"] or action["in"].endswith("_step")) and "transfer" not in action["in"]:
                action["batch"] = self.pick(0, 1, 2)
            if self.chance(0.1):
                action["sanity"] = True
            module["act"].append(action)
        if self.chance(0.15):
            module["dict_output"] = True
        if self.chance(0.1):
            module["hparams"] = {"a": 1, "b": "two"}
        return {key: value for key, value in module.items() if value != []}

    def names(self, module):
        """Names under which metrics are there, and others."""
        found = []
        for entry in module.get("log", []):
            found.append(entry["name"])
            if entry.get("on_step") and entry.get("on_epoch"):
                found += [entry["name"] + "_step", entry["name"] + "_epoch"]
        return found * 4 + ["missing"] if found else []

    def checkpoint(self, names):
        args = {}
        if names and self.chance(0.65):
            args["monitor"] = self.random.choice(names)
            if self.chance(0.3):
                args["mode"] = "max"
        elif self.chance(0.05):
            args["monitor"] = self.pick("step", "epoch", "lr-SGD")
        if self.chance(0.35):
            shown = args.get("monitor", "m0")
            args["filename"] = self.pick("{epoch}-{step}-{" + shown + ":.2f}", "{" + shown + "}", "best", "{epoch:02d}", "e{epoch}-s{step:03d}-{" + shown + ":.3e}", "{step}")
        if self.chance(0.6):
            args["save_top_k"] = self.pick(-1, 0, 1, 2, 3) if "monitor" in args else self.pick(-1, -1, 0, 1)
        if self.chance(0.4):
            args["save_last"] = self.pick(True, True, "link", False)
        if self.chance(0.55):
            args.update(self.pick({"every_n_train_steps": 1}, {"every_n_train_steps": 2}, {"every_n_train_steps": 3}, {"every_n_epochs": 2}, {"every_n_epochs": 1}, {"every_n_epochs": 0}, {"every_n_train_steps": 0}))
        if self.chance(0.3):
            args["save_on_train_epoch_end"] = self.chance(0.6)
        if self.chance(0.1):
            args["save_weights_only"] = True
        if self.chance(0.1):
            args["auto_insert_metric_name"] = False
        if self.chance(0.1):
            args["save_on_exception"] = True
        if self.chance(0.1):
            args["enable_version_counter"] = False
        return {"ModelCheckpoint": args}

    def early_stopping(self, names):
        args = {"monitor": self.random.choice(names), "patience": self.pick(0, 1, 2)}
        if self.chance(0.4):
            args["mode"] = "max"
        if self.chance(0.3):
            args["min_delta"] = self.pick(0.1, 0.01, -0.1)
        if self.chance(0.25):
            args["stopping_threshold"] = self.pick(0.5, 0.1, 1.0)
        if self.chance(0.25):
            args["divergence_threshold"] = self.pick(0.5, 2.0)
        if self.chance(0.3):
            args["strict"] = False
        if self.chance(0.2):
            args["check_finite"] = False
        if self.chance(0.3):
            args["check_on_train_epoch_end"] = self.chance(0.5)
        return {"EarlyStopping": args}

    def distinct(self, callbacks):
        """Those whose states do not go by the same key, which the trainer would refuse."""
        found = {}
        for callback in callbacks:
            ((_, args),) = callback.items()
            steps, epochs = args.get("every_n_train_steps"), args.get("every_n_epochs")
            if steps is None and epochs is None:
                epochs = 1
            found[args.get("monitor"), args.get("mode"), steps or 0, epochs or 0] = callback
        return list(found.values())

    def callbacks(self, module, calls):
        made = [{"Recorder": {"name": "a"}}]
        names = self.names(module)
        automatic = module.get("automatic_optimization", True)
        if self.chance(0.55):
            made += self.distinct(self.checkpoint(names) for _ in range(2 if self.chance(0.25) else 1))
        if names and self.chance(0.3):
            made += self.distinct(self.early_stopping(names) for _ in range(2 if self.chance(0.15) else 1))
        if self.chance(0.25 if module.get("schedulers") else 0.08):
            args = self.pick({}, {"logging_interval": "step"}, {"logging_interval": "epoch"})
            made.append({"LearningRateMonitor": {**args, **({"log_momentum": True} if self.chance(0.2) else {}), **({"log_weight_decay": True} if self.chance(0.2) else {})}})
        if self.chance(0.1) and (automatic or self.chance(0.2)):
            made.append({"GradientAccumulationScheduler": {"scheduling": self.pick({"1": 2}, {"0": 2, "1": 1}, {"0": 3}, {"2": 4, "1": 2}, {"0": 1})}})
        # these copy the module, which cannot be done once it holds a loss
        copies = all(options.get("new_trainer", number == 0) for number, call in enumerate(calls) for options in call.values())
        if copies and self.chance(0.12):
            args = {"swa_lrs": self.pick(0.05, 0.5, [0.05])}
            if self.chance(0.6):
                args["swa_epoch_start"] = self.pick(0.5, 1, 2, 0.0)
            if self.chance(0.5):
                args["annealing_epochs"] = self.pick(1, 2, 3)
            if self.chance(0.5):
                args["annealing_strategy"] = self.pick("linear", "cos")
            made.append({"StochasticWeightAveraging": args})
        if self.chance(0.06):
            made.append({"Timer": {"duration": self.pick(ALWAYS, NEVER, None), "interval": self.pick("step", "epoch"), "verbose": False}})
        if copies and automatic and self.chance(0.06):
            args = {"decay": self.pick(0.5, 0.9)}
            if self.chance(0.5):
                args.update(self.pick({"update_starting_at_step": 2}, {"update_every_n_steps": 2}, {"update_starting_at_epoch": 1}))
            made.append({"EMAWeightAveraging": args} if self.chance(0.7) else {"WeightAveraging": {}})
        if self.chance(0.01):
            made.append({"BackboneFinetuning": {"unfreeze_backbone_at_epoch": 1}})
        if self.chance(0.3):
            made.append({"Recorder": {"name": "b"}})
        if self.chance(0.15):
            self.random.shuffle(made)
        # the recorder asks the first checkpoint callback for its best
        if self.chance(0.1) and any("ModelCheckpoint" in callback for callback in made):
            made.append({"OnExceptionCheckpoint": {"dirpath": "FOLDER/checkpoints", "filename": self.pick("on_exception", "failed")}})
        return made

    def trainer(self, data, module, callbacks):
        automatic = module.get("automatic_optimization", True)
        flags = {"max_epochs": self.pick(1, 2, 2, 3, 3, 4)}
        if self.chance(0.03):
            flags["max_epochs"] = 0
        if self.chance(0.2):
            flags["max_steps"] = self.pick(1, 3, 5, 7, 0)
            # never without a limit where steps may be left out
            if self.chance(0.4) and not module.get("act"):
                flags["max_epochs"] = self.pick(None, -1)
        elif self.chance(0.02):
            del flags["max_epochs"]
            flags["max_time"] = ALWAYS
        if self.chance(0.12):
            flags["min_epochs"] = self.pick(1, 2, 3)
        if self.chance(0.1):
            flags["min_steps"] = self.pick(2, 5, 8)
        if self.chance(0.04):
            flags["max_time"] = self.pick(ALWAYS, NEVER)
        if self.chance(0.25) and (automatic or self.chance(0.05)):
            flags["accumulate_grad_batches"] = self.pick(2, 3, 4)
        if self.chance(0.15) and (automatic or self.chance(0.05)):
            flags["gradient_clip_val"] = self.pick(0.1, 0.5, 0.05, 0)
            if self.chance(0.4):
                flags["gradient_clip_algorithm"] = self.pick("value", "norm")
        if self.chance(0.35):
            flags["val_check_interval"] = self.pick(0.5, 1, 2, 3, 0.25, 0.34, 0.7, 4, 6, ALWAYS, NEVER)
            # Lightning's EarlyStopping breaks down by an interval of time
            if isinstance(flags["val_check_interval"], str) and any("EarlyStopping" in callback for callback in callbacks):
                flags["val_check_interval"] = 3
        if self.chance(0.35):
            counts_over_epochs = isinstance(flags.get("val_check_interval", 0.5), int | str)
            flags["check_val_every_n_epoch"] = self.pick(None, None, 1, 2, 3) if counts_over_epochs else self.pick(2, 3)
        for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"):
            if self.chance(0.12):
                flags[name] = self.pick(1, 2, 3, 0.5, 0.75, 0 if self.chance(0.5) else 1)
        if self.chance(0.3):
            flags["num_sanity_val_steps"] = self.pick(0, 1, -1, 3)
        if self.chance(0.25):
            flags["log_every_n_steps"] = self.pick(2, 3, 50, 0)
        if self.chance(0.06):
            flags["overfit_batches"] = self.pick(1, 2, 0.5)
        if self.chance(0.05):
            flags["fast_dev_run"] = self.pick(True, 2, 1, 3)
        if self.chance(0.12):
            flags["reload_dataloaders_every_n_epochs"] = self.pick(1, 2, 3)
        if self.chance(0.08):
            flags["precision"] = self.pick("64-true", "bf16-mixed", "bf16-true")
        if self.chance(0.04):
            flags["detect_anomaly"] = True
        if self.chance(0.05):
            flags["inference_mode"] = False
        if self.chance(0.02):
            flags["enable_checkpointing"] = True
        if self.chance(0.03):
            flags["enable_autolog_hparams"] = False
        return flags

    def calls(self, data):
        calls = []
        for _ in range(self.pick(1, 1, 1, 2, 2, 3)):
            options = {}
            if calls:
                options["new_trainer"] = self.chance(0.5)
                if options["new_trainer"]:
                    options["trainer"] = {"max_epochs": self.pick(2, 3, 4, 5)}
                    if self.chance(0.15):
                        options["trainer"]["max_steps"] = self.pick(4, 8, 12)
                    if self.chance(0.1):
                        options["trainer"]["limit_val_batches"] = self.pick(0, 1)
            calls.append({"fit": options})
        for stage, method in (("val", "validate"), ("test", "test"), ("predict", "predict")):
            if self.chance(0.7 if stage in data and stage != "val" else 0.12):
                calls.append({method: {"return_predictions": False} if method == "predict" and self.chance(0.1) else {}})
                if self.chance(0.1):
                    calls.append({method: {"new_trainer": self.chance(0.3)}})
        if self.chance(0.15):
            self.random.shuffle(calls)
        return calls

    def resume(self, calls, callbacks):
        """Has calls begin from checkpoints."""
        if not any("ModelCheckpoint" in callback for callback in callbacks):
            return
        for number, call in enumerate(calls):
            ((_, options),) = call.items()
            if self.chance(0.7 if number > 0 else 0.03):
                options["ckpt"] = self.pick("last", "last", "best", "best", "last.ckpt", f"epoch={self.pick(0, 1)}-step={self.pick(1, 2, 3, 4)}.ckpt")

    def scenario(self, name):
        data = self.data()
        calls = self.calls(data)
        module = self.module(data, calls)
        callbacks = self.callbacks(module, calls)
        self.resume(calls, callbacks)
        scenario = {"name": name, "data": data, "module": module, "callbacks": callbacks, "trainer": self.trainer(data, module, callbacks), "calls": calls}
        if self.chance(0.15):
            scenario["datamodule"] = True
        if self.chance(0.1):
            scenario["leave"] = self.random.sample(["configure_gradient_clipping", "transfer_batch_to_device", "optimizer_step", "on_train_batch_start", "backward", "on_validation_model_eval", "on_validation_model_train", "lr_scheduler_step", "optimizer_zero_grad", "on_validation_model_zero_grad"], 3)
        return scenario


def main(folder, count=100, seed=0):
    scenarios = pathlib.Path(folder) / "scenarios"
    scenarios.mkdir(parents=True, exist_ok=True)
    for i in range(int(count)):
        number = int(seed) + i
        name = f"random-{number}"
        (scenarios / f"{name}.json").write_text(json.dumps(Maker(number).scenario(name), indent=1))


main(*sys.argv[1:])
