"""Prints what TensorBoard reads in folders of event files, as JSON: `read_events.py FOLDER...`."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


def value_of(value):
    return getattr(value, value.WhichOneof("kind"))


def histogram(event):
    value = event.histogram_value
    return {
        "step": event.step,
        "min": value.min,
        "max": value.max,
        "num": value.num,
        "sum": value.sum,
        "sum_squares": value.sum_squares,
        "limits": list(value.bucket_limit),
        "counts": list(value.bucket),
    }


def read(folder):
    events = EventAccumulator(folder)
    events.Reload()
    tags = events.Tags()

    def hparams(tag):
        # such values have metadata only
        if tag not in events.summary_metadata:
            return plugin_data_pb2.HParamsPluginData()
        return plugin_data_pb2.HParamsPluginData.FromString(events.SummaryMetadata(tag).plugin_data.content)

    start = hparams("_hparams_/session_start_info").session_start_info
    return {
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: [histogram(e) for e in events.Histograms(tag)] for tag in tags["histograms"]},
        "texts": {
            tag: [e.tensor_proto.string_val[0].decode() for e in events.Tensors(tag)]
            for tag in tags["tensors"]
            if events.SummaryMetadata(tag).plugin_data.plugin_name == "text"
        },
        "hparams": {name: value_of(value) for name, value in start.hparams.items()},
        "metrics": [m.name.tag for m in hparams("_hparams_/experiment").experiment.metric_infos],
    }


json.dump([read(folder) for folder in sys.argv[1:]], sys.stdout)
