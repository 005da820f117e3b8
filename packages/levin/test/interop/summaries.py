"""`summaries.py write FOLDER` writes with PyTorch's SummaryWriter what the test writes with levin; `summaries.py read FOLDER...`
prints all that is in folders of event files as JSON,
`summaries.py graph FOLDER` the nodes of a graph."""

import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from google.protobuf import json_format, text_format
from tensorboard.util import tensor_util
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData
from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData
from torch.utils.tensorboard import SummaryWriter


def ramp(*shape):
    values = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)
    return values / values.max()


def write(folder):
    w = SummaryWriter(folder, filename_suffix=".end")
    w.add_scalar("scalar", 0.1, 3, walltime=1.5)
    w.add_scalar("scalar/new", torch.tensor(0.1), 4, new_style=True)
    w.add_scalar("scalar/double", 0.1, 4, new_style=True, double_precision=True)
    w.add_scalars("many/curves", {"a": 1.0, "b": torch.tensor(2)}, 5, walltime=2.5)
    w.add_tensor("tensor", torch.tensor([[1, 2, 3]]), 6)
    w.add_tensor("tensor/float", ramp(2, 2), 6)
    values = torch.tensor([0, 0.001, -0.5, -0.5, 3, 3.0001, 1e-14, 250, -1e5])
    w.add_histogram("histogram", values, 7)
    w.add_histogram("histogram/ten", values, 7, bins=10)
    w.add_histogram("histogram/edges", values, 7, bins=[-1.0, 0.0, 3.0, 250.0])
    w.add_histogram("histogram/few", values, 7, max_bins=9)
    w.add_histogram_raw("histogram/raw", 0, 1, 2, 1.0, 1.0, [0.5, 1.0], [1, 1], 7)
    w.add_image("image", ramp(3, 4, 5), 8)
    w.add_image("image/grey", ramp(1, 4, 5), 8)
    w.add_image("image/alpha", ramp(4, 5, 4), 8, dataformats="HWC")
    w.add_image("image/plain", ramp(4, 5) * 3 - 1, 8, dataformats="HW")
    w.add_image("image/bytes", (ramp(3, 4, 5) * 255).to(torch.uint8), 8)
    w.add_images("images", ramp(11, 3, 4, 5), 9)
    w.add_images("images/last", ramp(2, 4, 5, 1), 9, dataformats="NHWC")
    w.add_text("text", "**it works**: ä", 10)
    w.add_audio("audio", (ramp(1, 100) * 2 - 1), 11, sample_rate=8000)
    w.add_audio("audio/loud", (ramp(50) * 4 - 2), 11)
    w.add_hparams({"lr": 0.1, "name": "net", "none": None}, {"accuracy": 0.5}, {"lr": [0.1, 0.01]}, "hp", 12)
    w.add_embedding(ramp(5, 3), metadata=["a", "b", 3, "d", "e"], label_img=ramp(5, 3, 4, 6))
    w.add_embedding(torch.arange(6).reshape(3, 2), metadata=[["x", 1], ["y", 2], ["z", 3]],
                    metadata_header=["name", "n"], global_step=2, tag='odd/"tag" ä')
    labels = torch.tensor([0, 1, 1, 0, 1, 1])
    w.add_pr_curve("pr", labels, ramp(6), 13)
    w.add_pr_curve("pr/weights", labels, ramp(6), 13, num_thresholds=5, weights=np.arange(6))
    w.add_custom_scalars({"A": {"x": ["Multiline", ["a", "b"]], "y": ["Margin", ["a", "b", "c"]]}})
    w.add_mesh("mesh", ramp(1, 4, 3), colors=ramp(1, 4, 3) * 255, faces=torch.tensor([[[0, 1, 2], [0, 2, 3]]]),
               config_dict={"camera": {"cls": "PerspectiveCamera"}}, global_step=14)
    w.add_mesh("points", ramp(2, 4, 3), global_step=14)
    w.close()


CONTENTS = {"pr_curves": PrCurvePluginData, "mesh": MeshPluginData, "hparams": HParamsPluginData}


def pixels(data):
    image = Image.open(io.BytesIO(data))
    frames = []
    for i in range(getattr(image, "n_frames", 1)):
        image.seek(i)
        frames.append(np.asarray(image.convert("RGBA") if image.mode == "RGBA" else image.convert("RGB")).tolist())
    return {"format": image.format, "frames": frames, "duration": image.info.get("duration")}


def sound(data):
    with wave.open(io.BytesIO(data)) as file:
        return [str(file.getparams()), list(file.readframes(10**6))]


def value_of(value):
    plugin = value.metadata.plugin_data
    result = {"tag": value.tag, "kind": value.WhichOneof("value"), "plugin": plugin.plugin_name}
    if plugin.plugin_name in CONTENTS:
        content = CONTENTS[plugin.plugin_name].FromString(plugin.content)
        result["content"] = json_format.MessageToDict(content)
        if "jsonConfig" in result["content"]:
            result["content"]["jsonConfig"] = json.loads(result["content"]["jsonConfig"])
    kind = result["kind"]
    if kind == "simple_value":
        result["value"] = value.simple_value
    elif kind == "histo":
        result["value"] = json_format.MessageToDict(value.histo)
    elif kind == "image":
        image = value.image
        result["value"] = [image.height, image.width, image.colorspace, pixels(image.encoded_image_string)]
    elif kind == "audio":
        audio = value.audio
        result["value"] = [audio.sample_rate, audio.num_channels, audio.length_frames, audio.content_type,
                           sound(audio.encoded_audio_string)]
    elif kind == "tensor":
        array = tensor_util.make_ndarray(value.tensor)
        if plugin.plugin_name == "custom_scalars":
            layout = layout_pb2.Layout.FromString(array.item())
            result["value"] = json_format.MessageToDict(layout)
        else:
            values = array.tolist()
            result["value"] = json.loads(json.dumps(values, default=lambda b: b.decode()))
            result["type"] = str(array.dtype)
    return result


def read(folder):
    result = {}
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".png":
            result[name] = pixels(path.read_bytes())
        elif path.name == "projector_config.pbtxt":
            result[name] = json_format.MessageToDict(text_format.Parse(path.read_text(), ProjectorConfig()))
        elif "tfevents" not in path.name:
            result[name] = path.read_text()
        else:
            events = list(LegacyEventFileLoader(str(path)).Load())
            key = str(Path(name).parent / ("events" + path.suffix if path.suffix == ".end" else "events"))
            result[key] = [
                [e.step, e.wall_time if e.wall_time < 10 else None, e.file_version, [value_of(v) for v in e.summary.value]]
                for e in events
            ]
    return result


def graph(folder):
    events = EventAccumulator(folder)
    events.Reload()
    return {
        node.name: [node.op, list(node.input), [d.size for d in node.attr["_output_shapes"].list.shape[0].dim]]
        for node in events.Graph().node
    }


if sys.argv[1] == "write":
    write(sys.argv[2])
elif sys.argv[1] == "graph":
    json.dump(graph(sys.argv[2]), sys.stdout)
else:
    json.dump([read(folder) for folder in sys.argv[2:]], sys.stdout)
