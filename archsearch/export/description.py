"""What an exported folder says of its network, and architecture.yaml, which holds it."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from archsearch.architecture import Architecture, load_plugins, resolve_architecture
from archsearch.errors import ExportError, InputError, StudyError
from archsearch.study.yaml_reading import decode, read_yaml

FORMAT_VERSION = 2
"""Version of the folder, held by architecture.yaml."""

DESCRIPTION = "architecture.yaml"


@dataclass(frozen=True)
class ExportedNetwork:
    """A trained network and all that is needed to use it.

    Attributes:
        input_shape: (channels, height, width), or (features,).
        class_names: In the order of the logits.
        mean: Of each channel of the training images, subtracted from an image in [0, 1].
        std: Of each channel, by which it is divided then.
        largest: The value of a raw image that is scaled to 1: 255 for bytes, else 1.
        weights: State of the network, by the names that `archsearch.models` gives.
        plugins: Packages that define its block.
        formats: What else the folder holds: ``python``, ``onnx``, ``pt2``.
        written_by: Version of archsearch that wrote the folder; empty before it is written.
    """

    architecture: Architecture
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    largest: int
    weights: Mapping[str, torch.Tensor] = field(repr=False)
    plugins: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    written_by: str = ""


def write_description(network: ExportedNetwork, folder: Path) -> None:
    """Write architecture.yaml."""
    described = {
        "format_version": FORMAT_VERSION,
        "archsearch": own_version(),
        "architecture": network.architecture.to_mapping(),
        "architecture_id": network.architecture.id,
        "input_shape": list(network.input_shape),
        "classes": list(network.class_names),
        "preprocessing": {
            "largest": network.largest,
            "mean": list(network.mean),
            "std": list(network.std),
        },
        "formats": list(network.formats),
        "plugins": list(network.plugins),
    }
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(described, text)
    (folder / DESCRIPTION).write_text(text.getvalue(), encoding="utf-8")


def read_description(folder: Path) -> ExportedNetwork:
    """Read architecture.yaml; the network comes without weights.

    Raises:
        ExportError: It is missing, of another version, or altered, or a package of its block is not there.
    """
    path = folder / DESCRIPTION
    described = _read_mapping(path)
    try:
        plugins = tuple(str(name) for name in described["plugins"])
        _load_packages(plugins)
        preprocessing = described["preprocessing"]
        return ExportedNetwork(
            architecture=resolve_architecture(described["architecture"]),
            input_shape=tuple(int(size) for size in described["input_shape"]),
            class_names=tuple(str(name) for name in described["classes"]),
            mean=tuple(float(value) for value in preprocessing["mean"]),
            std=tuple(float(value) for value in preprocessing["std"]),
            largest=int(preprocessing["largest"]),
            weights={},
            plugins=plugins,
            formats=tuple(str(name) for name in described["formats"]),
            written_by=str(described["archsearch"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise altered(path, f"{type(error).__name__}: {error}") from error
    except InputError as error:
        raise ExportError(
            error.rule, path=error.path, got=error.got, fix=error.fix, where=str(path)
        ) from error


def own_version() -> str:
    """Return the version of archsearch that runs."""
    return importlib.metadata.version("archsearch")


def altered(path: Path, what: str) -> ExportError:
    """Make the error of a file that is not as it was exported."""
    return ExportError(
        f"must be as it was exported ({what})",
        path=str(path),
        fix="Export the network again, or restore the file.",
    )


def missing(folder: Path, name: str) -> ExportError:
    """Make the error of a file that is not there."""
    return ExportError(f"must hold {name}", path=str(folder), fix="Export the network again.")


def _read_mapping(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise missing(path.parent, path.name)
    try:
        # Within the bounds of a study: a folder may come from anybody.
        described = read_yaml(decode(path.read_bytes(), path.name), path.name).value
    except StudyError as error:
        raise altered(path, error.rule) from error
    # the first version called it `format`
    version = (
        described.get("format_version", described.get("format")) if isinstance(described, dict) else None
    )
    if version is None:
        raise altered(path, "it has no format_version")
    if version != FORMAT_VERSION:
        raise ExportError(
            f"must be of format_version {FORMAT_VERSION}",
            path=str(path),
            got=version,
            fix="Load it with the version of archsearch that wrote it, or export it again.",
        )
    return dict(described)


def _load_packages(packages: tuple[str, ...]) -> None:
    for package in packages:
        try:
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError as error:
            rule = f"needs the package {package}, which is not installed"
            raise ExportError(rule, path="plugins", fix="Install it, then load the network again.") from error
    load_plugins(packages)
