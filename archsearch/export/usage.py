"""How an exported network is loaded, in three lines for each format."""

from __future__ import annotations

from archsearch.export.description import ExportedNetwork

_INTRODUCTIONS = {
    "safetensors": "With archsearch, which reads description and weights, and runs nothing of the folder:",
    "python": "With torch and safetensors alone, from this folder:",
    "pt2": "With torch alone, which trusts the file; `archsearch verify` looks into it before:",
    "onnx": "With onnxruntime and numpy alone:",
}
_CODE = {
    "safetensors": (
        "import archsearch",
        'network = archsearch.load("path/to/this/folder")',
        "logits = network(normalised)  # (raw / {largest} - mean) / std, see architecture.yaml",
    ),
    "python": (
        "from model import CLASSES, load, predict",
        "probabilities = predict(raw, load())",
        "print([CLASSES[number] for number in probabilities.argmax(1)])",
    ),
    "pt2": (
        "import torch",
        'network = torch.export.load("model.pt2").module()',
        "logits = network(raw.float())",
    ),
    "onnx": (
        "import onnxruntime",
        'session = onnxruntime.InferenceSession("model.onnx")',
        'logits = session.run(None, {{"images": raw.astype("float32")}})[0]',
    ),
}


def list_usage(network: ExportedNetwork) -> list[str]:
    """Say how each format is loaded, as lines of Markdown."""
    shape = ", ".join(map(str, ("N", *network.input_shape)))
    kind = "images" if len(network.input_shape) == 3 else "inputs"
    values = "bytes, 0 to 255" if network.largest == 255 else "as the data source gives them"
    lines = [
        f"`raw` are {kind} `[{shape}]`, {values}, as uint8 or float32: a tensor of torch, for `model.onnx` "
        "an array of numpy. What normalises them is part of `model.py`, `model.pt2` and `model.onnx`. The "
        "last two take float32 and any number at a time, and give logits, in the order of the classes above.",
        "",
    ]
    for name in ("safetensors", "python", "pt2", "onnx"):
        if name == "safetensors" or name in network.formats:
            code = [line.format(largest=network.largest) for line in _CODE[name]]
            lines += [_INTRODUCTIONS[name], "", "```python", *code, "```", ""]
    return lines
