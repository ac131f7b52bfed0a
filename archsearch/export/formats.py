"""The forms in which a network leaves besides its weights: source, ONNX, torch.export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archsearch.errors import ExportError
from archsearch.export.description import ExportedNetwork, altered
from archsearch.export.raw_network import RawNetwork
from archsearch.export.source import find_foreign, write_source
from archsearch.models.onnx_graph import (
    convert_to_onnx,
    find_missing,
    open_session,
    quiet_exporters,
    trace_network,
)

FORMATS = {"python": "model.py", "onnx": "model.onnx", "pt2": "model.pt2"}
"""File of each format that can be chosen; model.safetensors is always written."""

TOLERANCES = {"safetensors": 0.0, "python": 0.0, "pt2": 0.0, "onnx": 1e-4}
"""Largest difference of logits, in multiples of the largest logit (at least 1).

The first three run the same kernels of torch in the same order, so every bit must be the same. ONNX Runtime
has kernels of its own, which add in another order, and folds batch norms into convolutions: float32 is then
about 1e-6 off after some layers, and more after a thousand.
"""

# protobuf's limit on a message; with room for the graph
_ONNX_BYTES = 2**31 - 2**26


def choose_formats(
    wanted: Sequence[str] | None, network: ExportedNetwork
) -> tuple[tuple[str, ...], list[str]]:
    """Decide the formats of a network.

    Args:
        wanted: What was asked for; None takes all that can be written here.
        network: What is exported.

    Returns:
        The formats, and a sentence about each that was left out without having been refused.

    Raises:
        ExportError: One that was asked for cannot be written.
    """
    reasons = {name: reason for name in FORMATS if (reason := _find_obstacle(name, network))}
    if wanted is None:
        return tuple(name for name in FORMATS if name not in reasons), list(reasons.values())
    for name in wanted:
        if name in reasons:
            left = ",".join(["safetensors", *(other for other in FORMATS if other not in reasons)])
            raise ExportError(
                f"must be what can be written here: {reasons[name]}",
                path="--formats",
                got=name,
                fix=f"Left: {left}.",
            )
    return tuple(name for name in FORMATS if name in wanted), []


def _find_obstacle(name: str, network: ExportedNetwork) -> str:
    """Say why a format cannot be written; empty where it can."""
    if name == "python" and (foreign := find_foreign(network.architecture)):
        return f"model.py is not written, for {foreign} comes from a plugin, which has no source in one file"
    if name == "onnx":
        if missing := find_missing():
            needed = ", ".join(missing)
            return f"model.onnx is not written, for it needs {needed}: pip install 'archsearch[onnx]'"
        size = sum(tensor.numel() * tensor.element_size() for tensor in network.weights.values())
        if size > _ONNX_BYTES:
            return f"model.onnx is not written, for it can hold 2 GiB and the weights are {size / 2**30:.1f}"
    return ""


def write_formats(network: ExportedNetwork, raw: RawNetwork, folder: Path) -> None:
    """Write the files of the network's formats."""
    if "python" in network.formats:
        (folder / FORMATS["python"]).write_text(write_source(network), encoding="utf-8")
    if not {"onnx", "pt2"} & set(network.formats):
        return
    program = trace_network(raw, network.input_shape)
    if "pt2" in network.formats:
        with quiet_exporters():
            torch.export.save(program, folder / FORMATS["pt2"])
    if "onnx" in network.formats:
        converted = convert_to_onnx(program, network.input_shape)
        with quiet_exporters():
            converted.save(str(folder / FORMATS["onnx"]), external_data=False)


def open_pt2(path: Path) -> Callable[[Tensor], Tensor]:
    """Open a model.pt2, which must have been looked at (`check_pt2`); takes raw images, gives logits."""
    with quiet_exporters():
        module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = module(images)
        return logits

    return run


def open_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """Open a model.onnx on the CPU; takes raw images, gives logits.

    Raises:
        ExportError: It is no network that ONNX Runtime can run.
    """
    try:
        session = open_session(path.read_bytes(), threads=torch.get_num_threads())
    # its exceptions have no other common base
    except Exception as error:
        raise altered(path, str(error).splitlines()[0]) from error

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(logits)

    return run


def run_source(path: Path, images: Tensor) -> Tensor:
    """Compute the logits of raw images with a model.py that was just written here."""
    names: dict[str, Any] = {"__name__": "model", "__file__": str(path)}
    # Of this process alone, into a folder that nobody else knows of yet.
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)  # nosec B102
    with torch.no_grad():
        logits: Tensor = names["load"]()(names["prepare"](images))
    return logits
