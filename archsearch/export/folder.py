"""Write and read the folder of an exported network; loading it executes nothing that it holds.

::

    architecture.yaml    the architecture, its input, its classes, how images are normalised
    model.safetensors    the weights
    model.py             the network as a module of PyTorch, with its preprocessing
    model.onnx           raw images to logits, any number at a time
    model.pt2            the same for torch.export
    metrics.json         how good it is, and what it costs
    confusion.png        which classes it takes for which
    MODEL_CARD.md        what it is, how it was trained, how to load it
    checksums.txt        SHA-256 of all of them
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from archsearch.errors import ExportError, InputError, MismatchError
from archsearch.export.checksums import check_sum, read_checksums, write_checksums
from archsearch.export.description import (
    DESCRIPTION,
    ExportedNetwork,
    altered,
    read_description,
    write_description,
)
from archsearch.export.formats import FORMATS, TOLERANCES, open_onnx, open_pt2, run_source, write_formats
from archsearch.export.naming import plain_names, to_plain
from archsearch.export.raw_network import RawNetwork, build_fresh, build_trained
from archsearch.export.safe_pt2 import check_pt2
from archsearch.training.saving import sync_file, sync_folder

WEIGHTS = "model.safetensors"

ALWAYS = (DESCRIPTION, WEIGHTS, "metrics.json", "MODEL_CARD.md")
"""Files of every folder, whichever its formats and version."""


@dataclass(frozen=True)
class Compared:
    """What came of comparing a folder's files with the trained network.

    Attributes:
        differences: By format the largest difference of logits, in multiples of the largest logit (at
            least 1).
        runs: Raw images to logits: the network itself (``torch``), and the files that were opened for it.
    """

    differences: Mapping[str, float]
    runs: Mapping[str, Callable[[Tensor], Tensor]]


def write_export(
    network: ExportedNetwork, images: Tensor, output: Path, finish: Callable[[Path, Compared], None]
) -> None:
    """Write the folder, whole or not at all; an older export in its place is replaced whole.

    Args:
        network: What is exported.
        images: Raw images on which each file is compared with the network.
        output: The folder.
        finish: Writes what else the folder holds, once its formats have been found right.

    Raises:
        ExportError: Something else is in its place, or the place cannot be written.
        MismatchError: A file computes something else than the network.
    """
    check_place(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            finish(new, _write_network(network, images, new))
            write_checksums(new)
            _settle(new)
            _put_in_place(new, output, Path(temporary) / "old")
    except OSError as error:
        raise ExportError(
            f"must be writable ({error.strerror or error})", path="--output", got=str(output)
        ) from error


def check_place(output: Path) -> None:
    """Check that a folder may be written here.

    Raises:
        ExportError: Something else than an export is in its place.
    """
    if output.exists() and not _is_export(output) and not _is_empty(output):
        raise ExportError(
            "must be a new or empty folder or an earlier export",
            path="--output",
            got=str(output),
            fix="Choose another folder.",
        )


def check_several(output: Path) -> None:
    """Check that folders may be written below this one.

    Raises:
        ExportError: It is an export itself, or no folder.
    """
    if not output.is_dir() or _is_export(output):
        raise ExportError(
            "must be a folder for several exports",
            path="--output",
            got=str(output),
            fix="Choose another folder.",
        )


def load_export(folder: str | Path) -> nn.Module:
    """Give an exported network back, in evaluation mode, on the CPU; it takes normalised images.

    Raises:
        ExportError: A file is missing or altered, the folder is of another version, or a package that its
            block needs is not installed.
    """
    return build_trained(read_export(folder))


def load_raw(folder: str | Path) -> tuple[RawNetwork, ExportedNetwork]:
    """Do the same with its preprocessing before it: the network takes raw images."""
    described = read_export(folder)
    return RawNetwork(build_trained(described), described).eval(), described


def read_export(folder: str | Path) -> ExportedNetwork:
    """Read description and weights of an exported network, by the names of its modules.

    Raises:
        ExportError: As of `load_export`.
    """
    folder = Path(folder)
    # first, for a folder of another version has other files
    described = read_description(folder)
    sums = read_checksums(folder)
    for name in (DESCRIPTION, WEIGHTS):
        check_sum(folder, name, sums)
    try:
        tensors = load_file(folder / WEIGHTS)
        own = build_fresh(described).state_dict()
    except SafetensorError as error:
        raise altered(folder / WEIGHTS, str(error)) from error
    except (ValueError, TypeError) as error:
        raise altered(folder / DESCRIPTION, f"{type(error).__name__}: {error}") from error
    except InputError as error:
        where = str(folder / DESCRIPTION)
        raise ExportError(error.rule, path=error.path, got=error.got, fix=error.fix, where=where) from error
    names = plain_names(own, described.architecture)
    unknown = sorted(set(tensors) ^ set(names.values()))
    fits = {plain: own[name].shape for name, plain in names.items()}
    unfit = [plain for plain, tensor in tensors.items() if plain in fits and tensor.shape != fits[plain]]
    if unknown or unfit:
        raise altered(folder / WEIGHTS, f"{(unknown + unfit)[0]} does not fit the architecture")
    return replace(described, weights={name: tensors[plain] for name, plain in names.items()})


def compare(raw: RawNetwork, network: ExportedNetwork, images: Tensor, folder: Path) -> Compared:
    """Compute by how much each file's logits differ from the network's; model.py is executed."""
    reloaded = replace(network, weights=_read_weights(network, folder))
    runs: dict[str, Callable[[Tensor], Tensor]] = {"torch": raw}
    if "pt2" in network.formats:
        check_pt2(folder / FORMATS["pt2"])
        runs["pt2"] = open_pt2(folder / FORMATS["pt2"])
    if "onnx" in network.formats:
        runs["onnx"] = open_onnx(folder / FORMATS["onnx"])
    with torch.no_grad():
        logits = {name: run(images.float()) for name, run in runs.items()}
        logits["safetensors"] = RawNetwork(build_trained(reloaded), reloaded)(images.float())
    if "python" in network.formats:
        logits["python"] = run_source(folder / FORMATS["python"], images)
    expected = logits.pop("torch")
    return Compared({name: difference(found, expected) for name, found in logits.items()}, runs)


def difference(logits: Tensor, expected: Tensor) -> float:
    """Return the largest difference, in multiples of the largest expected logit or of 1; NaN is infinite."""
    if logits.shape != expected.shape:
        return float("inf")
    largest = (logits - expected).abs().max() / expected.abs().max().clamp_min(1)
    return float("inf") if largest.isnan() else float(largest)


def check_differences(differences: Mapping[str, float]) -> None:
    """Check each format against its tolerance.

    Raises:
        MismatchError: One is beyond it.
    """
    for name, found in differences.items():
        if not found <= TOLERANCES[name]:
            file = FORMATS.get(name, WEIGHTS)
            raise MismatchError(
                f"{file} does not compute what the trained network does: its logits differ by {found:.2g} of "
                f"the largest, and may by {TOLERANCES[name]:g}. Nothing was exported."
            )


def _write_network(network: ExportedNetwork, images: Tensor, folder: Path) -> Compared:
    weights = to_plain(network.weights, network.architecture)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"architecture_id": network.architecture.id})
    write_description(network, folder)
    # safetensors writes for its owner alone
    (folder / WEIGHTS).chmod((folder / DESCRIPTION).stat().st_mode)
    raw = RawNetwork(build_trained(network), network).eval()
    write_formats(network, raw, folder)
    compared = compare(raw, network, images, folder)
    check_differences(compared.differences)
    return compared


def _read_weights(network: ExportedNetwork, folder: Path) -> dict[str, Tensor]:
    tensors = load_file(folder / WEIGHTS)
    return {
        name: tensors[plain] for name, plain in plain_names(network.weights, network.architecture).items()
    }


def _settle(folder: Path) -> None:
    """Have the disk keep everything before the folder gets its name."""
    for path in folder.iterdir():
        sync_file(path)
    sync_folder(folder)


def _put_in_place(new: Path, output: Path, old: Path) -> None:
    if output.exists():
        output.rename(old)
    try:
        new.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_export(folder: Path) -> bool:
    return folder.is_dir() and all((folder / name).is_file() for name in ALWAYS)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
