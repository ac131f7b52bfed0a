"""Write and read the folder of an exported network; nothing in it is ever executed.

::

    architecture.yaml    the architecture, its input, its classes, how images are normalised
    model.safetensors    the weights
    metrics.json         how good it is, and what it costs
    MODEL_CARD.md        what it is, how it was trained, how to load it
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from archsearch.architecture import Architecture, load_plugins, resolve_architecture
from archsearch.errors import ExportError, InputError
from archsearch.models import build_network

FORMAT = 1
"""Version of the folder's format, held by architecture.yaml."""

_FILES = ("architecture.yaml", "model.safetensors", "metrics.json", "MODEL_CARD.md")


@dataclass(frozen=True)
class ExportedNetwork:
    """All that an exported folder holds.

    Attributes:
        input_shape: (channels, height, width), or (features,).
        class_names: In the order of the logits.
        mean: Of each channel of the training images, subtracted from an image in [0, 1].
        std: Of each channel, by which it is divided then.
        weights: State of the network, by name.
        metrics: What metrics.json holds.
        plugins: Packages that define its block.
    """

    architecture: Architecture
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: Mapping[str, torch.Tensor]
    metrics: Mapping[str, Any]
    plugins: tuple[str, ...] = ()


def write_export(network: ExportedNetwork, card: str, output: Path) -> None:
    """Write the folder, whole or not at all; an older export in its place is replaced whole.

    Args:
        network: What is exported.
        card: Text of the model card, Markdown.
        output: The folder.

    Raises:
        ExportError: Something else is in its place, or the place cannot be written.
    """
    if output.exists() and not _is_export(output) and not _is_empty(output):
        raise ExportError(
            "must be a new or empty folder or an earlier export",
            path="--output",
            got=str(output),
            fix="Choose another folder.",
        )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            _write_files(network, card, new)
            if output.exists():
                output.rename(Path(temporary) / "old")
            new.rename(output)
    except OSError as error:
        raise ExportError(f"must be writable ({error.strerror})", path="--output", got=str(output)) from error


def load_export(folder: str | Path) -> nn.Module:
    """Give an exported network back, in evaluation mode, on the CPU.

    The network takes normalised images: see ``normalization`` in architecture.yaml.

    Raises:
        ExportError: A file is missing or altered, the folder is of another version, or a package that its
            block needs is not installed.
    """
    folder = Path(folder)
    for name in ("architecture.yaml", "model.safetensors"):
        if not (folder / name).is_file():
            raise ExportError(f"must hold {name}", path=str(folder), fix="Export the network again.")
    described = _read_description(folder / "architecture.yaml")
    if described.get("weights_sha256") != _checksum(folder / "model.safetensors"):
        raise _altered(folder / "model.safetensors", "its checksum is another than architecture.yaml says")
    try:
        _load_packages(tuple(described["plugins"]))
        architecture = resolve_architecture(described["architecture"])
        shape = tuple(int(size) for size in described["input_shape"])
        with torch.random.fork_rng(devices=[]):
            network = build_network(architecture, shape, len(described["classes"]))
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except SafetensorError as error:
        raise _altered(folder / "model.safetensors", str(error)) from error
    except RuntimeError as error:
        # torch names the tensors that do not fit, one a line.
        raise _altered(folder / "model.safetensors", str(error).splitlines()[0]) from error
    except (KeyError, TypeError, ValueError) as error:
        raise _altered(folder / "architecture.yaml", f"{type(error).__name__}: {error}") from error
    except InputError as error:
        where = str(folder / "architecture.yaml")
        raise ExportError(error.rule, path=error.path, got=error.got, fix=error.fix, where=where) from error
    return network.eval()


def _load_packages(packages: tuple[str, ...]) -> None:
    for package in packages:
        try:
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError as error:
            rule = f"needs the package {package}, which is not installed"
            raise ExportError(rule, path="plugins", fix="Install it, then load the network again.") from error
    load_plugins(packages)


def _is_export(folder: Path) -> bool:
    return folder.is_dir() and all((folder / name).is_file() for name in _FILES)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_files(network: ExportedNetwork, card: str, folder: Path) -> None:
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"architecture_id": network.architecture.id})
    described = {
        "format": FORMAT,
        "architecture": network.architecture.to_mapping(),
        "architecture_id": network.architecture.id,
        "input_shape": list(network.input_shape),
        "classes": list(network.class_names),
        "normalization": {"mean": list(network.mean), "std": list(network.std)},
        "plugins": list(network.plugins),
        "weights_sha256": _checksum(folder / "model.safetensors"),
    }
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(described, text)
    (folder / "architecture.yaml").write_text(text.getvalue(), encoding="utf-8")
    metrics = json.dumps(network.metrics, indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def _read_description(path: Path) -> Mapping[str, Any]:
    try:
        described = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise _altered(path, type(error).__name__) from error
    if not isinstance(described, dict) or "format" not in described:
        raise _altered(path, "it has no format")
    if described["format"] != FORMAT:
        raise ExportError(
            f"must be of format {FORMAT}",
            path=str(path),
            got=described["format"],
            fix="Load it with the version of archsearch that wrote it, or export it again.",
        )
    return described


def _altered(path: Path, what: str) -> ExportError:
    return ExportError(
        f"must be as it was exported ({what})",
        path=str(path),
        fix="Export the network again, or restore the file.",
    )
