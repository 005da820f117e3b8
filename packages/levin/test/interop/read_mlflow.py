"""Prints what MLflow's client finds in the experiments of a tracking URI, as JSON: `read_mlflow.py URI`."""

import json
import os
import sys
import warnings

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
warnings.simplefilter("ignore")

from mlflow.tracking import MlflowClient  # noqa: E402

client = MlflowClient(sys.argv[1])


def files(run_id, path=None):
    for item in client.list_artifacts(run_id, path):
        if item.is_dir:
            yield from files(run_id, item.path)
        else:
            yield item.path


def read(run):
    run_id = run.info.run_id
    history = {key: client.get_metric_history(run_id, key) for key in run.data.metrics}
    texts = [path for path in files(run_id) if not path.endswith(".ckpt")]
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "ended": run.info.end_time is not None and run.info.end_time >= run.info.start_time,
        "metrics": {key: [[m.step, repr(m.value)] for m in values] for key, values in history.items()},
        "params": run.data.params,
        "tags": run.data.tags,
        "artifacts": sorted(files(run_id)),
        "texts": {path: open(client.download_artifacts(run_id, path)).read() for path in texts},
    }


json.dump(
    {e.name: [read(r) for r in client.search_runs([e.experiment_id])] for e in client.search_experiments()}, sys.stdout
)
