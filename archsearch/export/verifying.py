"""Verify an exported folder: its checksums, and what each of its files computes."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from archsearch.errors import ExportError
from archsearch.export.checksums import check_sum, read_checksums
from archsearch.export.description import ExportedNetwork, altered, own_version
from archsearch.export.folder import ALWAYS, difference, load_raw
from archsearch.export.formats import FORMATS, open_onnx, open_pt2
from archsearch.export.probe import make_probe, read_probe
from archsearch.export.safe_pt2 import check_pt2
from archsearch.export.source import write_source

# Another processor or version of torch adds in another order.
_OTHER_MACHINE = 1e-3


@dataclass(frozen=True)
class Verification:
    """What was found right.

    Attributes:
        files: Names of all files whose checksums are right.
        differences: Of each file that was run, the largest difference of its logits from those that were
            exported, in multiples of the largest.
        notes: What could not be looked at, and why.
    """

    files: tuple[str, ...]
    differences: dict[str, float]
    notes: tuple[str, ...]


def verify_export(folder: str | Path) -> Verification:
    """Verify a folder on images of noise, of which the exported logits are known; runs no code from it.

    model.py is compared with what this version of archsearch writes, and not run.

    Raises:
        ExportError: A file is missing, altered, unsafe, or computes something else; or the folder is of
            another version.
    """
    folder = Path(folder)
    raw, network = load_raw(folder)
    sums = read_checksums(folder)
    files = sorted({*sums, *_expected(network)})
    for name in files:
        check_sum(folder, name, sums)
    images = make_probe(network)
    with torch.no_grad():
        here = raw(images)
    differences = {"model.safetensors": difference(here, _read_logits(folder))}
    notes = []
    if "python" in network.formats:
        notes += _check_source(folder / FORMATS["python"], network)
    if "pt2" in network.formats:
        check_pt2(folder / FORMATS["pt2"])
        differences["model.pt2"] = difference(open_pt2(folder / FORMATS["pt2"])(images), here)
    if "onnx" in network.formats:
        if importlib.util.find_spec("onnxruntime"):
            differences["model.onnx"] = difference(open_onnx(folder / FORMATS["onnx"])(images), here)
        else:
            notes.append(
                "model.onnx was not run, for onnxruntime is not installed: pip install 'archsearch[onnx]'"
            )
    for name, found in differences.items():
        if not found <= _OTHER_MACHINE:
            raise altered(folder / name, f"its logits differ by {found:.2g} of the largest")
    return Verification(tuple(files), differences, tuple(notes))


def _expected(network: ExportedNetwork) -> set[str]:
    unknown = [name for name in network.formats if name not in FORMATS]
    if unknown:
        raise ExportError(f"must be of known formats ({', '.join(FORMATS)})", path="formats", got=unknown[0])
    return {*ALWAYS, "confusion.png", *(FORMATS[name] for name in network.formats)}


def _read_logits(folder: Path) -> Tensor:
    path = folder / "metrics.json"
    try:
        return read_probe(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise altered(path, f"{type(error).__name__}: {error}") from error


def _check_source(path: Path, network: ExportedNetwork) -> list[str]:
    if path.read_text(encoding="utf-8") == write_source(network):
        return []
    if network.written_by == own_version():
        raise altered(path, "it is not the source of this network")
    return [f"model.py was not compared: archsearch {network.written_by} wrote it, this is {own_version()}"]
