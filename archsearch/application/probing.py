"""Experiments on the trained networks of a study: lesions, path lengths, the deepening test."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.analysis import DepthCurve, DepthPoint, depth_curves
from archsearch.analysis.lesion import LesionedNetwork, study_lesions
from archsearch.analysis.lesion_plots import plot_lesions
from archsearch.analysis.path_lengths import PathLength, measure_path_lengths
from archsearch.application.trained import TrainedNetwork, find_trained, has_weights
from archsearch.data.dataset import Split
from archsearch.data.module import Normalisation
from archsearch.errors import ArchitectureError, RunFolderError
from archsearch.journal import RunFolder, StudyHistory
from archsearch.models.deepening import deepen
from archsearch.models.surgery import Anatomy

_BATCH = 256
_PATH_BATCH = 128


@dataclass(frozen=True)
class LesionReport:
    """The lesions of some networks of a study, and where they were written."""

    study: str
    networks: tuple[LesionedNetwork, ...]
    picture: Path
    table: Path

    def to_mapping(self) -> dict[str, Any]:
        """JSON's values."""
        networks = [asdict(network) for network in self.networks]
        return {
            "study": self.study,
            "picture": str(self.picture),
            "table": str(self.table),
            "networks": networks,
        }


@dataclass(frozen=True)
class Deepening:
    """A trained network against what its shallower neighbour, extended by identities, reaches at least.

    Attributes:
        deep: Name of the deeper network.
        shallow: Name of the shallower one.
        bound: Training error of the shallow one, which the extended one has too.
        trained: Training error that the deeper one was trained to.
        why_not: Why the extension cannot be built; empty where it was, and had the same outputs.
    """

    curve: str
    deep: str
    shallow: str
    bound: float
    trained: float
    why_not: str

    @property
    def gap(self) -> float:
        """Training error that optimisation lost; at most 0 where the deeper network reached the bound."""
        return self.trained - self.bound


def lesion_study(
    study: str,
    *,
    trials: Sequence[int] = (),
    draws: int = 10,
    pairs: int = 100,
    images: int = 0,
    runs_folder: str | Path = "runs",
) -> LesionReport:
    """Remove, exchange and repeat blocks of trained networks; write a picture and a table.

    Args:
        study: Name of a study that was run, or its folder.
        trials: Numbers of the trials; none takes of each depth curve the deepest network whose weights were
            kept.
        draws: Sets of blocks drawn for each number of removed blocks, and paths of each length.
        pairs: Pairs of blocks removed, at most.
        images: Validation images that each lesioned network is evaluated on, drawn at random; 0 takes all.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: The study, or a trial, is not there or has no trained network.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    numbers = list(trials) or _deepest(folder, history)
    networks = tuple(
        _lesion(find_trained(folder, history, number), draws, pairs, images) for number in numbers
    )
    report = LesionReport(
        history.header["name"], networks, folder.report / "lesion.png", folder.report / "lesion.csv"
    )
    plot_lesions(networks, f"{report.study}: what networks lose with their blocks", report.picture)
    rows = [
        {
            "network": network.label,
            "trial": network.trial,
            "seed": network.seed,
            "kind": lesion.kind,
            "blocks": " ".join(map(str, lesion.blocks)),
            "error": lesion.error,
            "damage": lesion.error - network.study.error,
        }
        for network in networks
        for lesion in network.study.lesions
    ]
    with report.table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return report


def deepening_test(study: str, *, runs_folder: str | Path = "runs") -> list[Deepening]:
    """Compare each network of the depth curves with the best shallower one, extended by identities.

    Raises:
        RunFolderError: The study is not there, or no curve has two depths.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    found = []
    for curve in depth_curves(history.trials.values(), history.header.get("objectives")):
        points = _finished(curve, history) if curve.joined else []
        for index, point in enumerate(points):
            shallower = [other for other in points[:index] if other.depth < point.depth]
            if shallower:
                best = min(shallower, key=lambda other: other.mean("train_error"))
                why_not = _extend(folder, history, best.trial, point.trial)
                found.append(
                    Deepening(
                        curve.label,
                        point.name,
                        best.name,
                        best.mean("train_error"),
                        point.mean("train_error"),
                        why_not,
                    )
                )
    if not found:
        raise RunFolderError(
            "must have a curve of two finished depths", path="STUDY", got=history.header["name"]
        )
    return found


def _extend(folder: RunFolder, history: StudyHistory, shallow: int, deep: int) -> str:
    """Build the extended network and compare its outputs; returns why that cannot be, if so."""
    trained, deeper = find_trained(folder, history, shallow), find_trained(folder, history, deep)
    images, _ = _batch(trained, _BATCH)
    try:
        deepen(trained.network, deeper.architecture, images, trained.dataset.num_classes)
    except ArchitectureError as error:
        return str(error)
    return ""


def _deepest(folder: RunFolder, history: StudyHistory) -> list[int]:
    found = depth_curves(history.trials.values(), history.header.get("objectives"))
    curves = [_finished(curve, history) for curve in found]
    finished = [[point.trial for point in points] for points in curves if points]
    kept = [[n for n in numbers if has_weights(folder, history.trials[n])] for numbers in finished]
    # Where none were kept, the first that is looked for says so.
    deepest = [numbers[-1] for numbers in kept if numbers] or [numbers[-1] for numbers in finished]
    if not deepest:
        raise RunFolderError("must have a finished trial", path="STUDY", got=history.header["name"])
    return deepest


def _finished(curve: DepthCurve, history: StudyHistory) -> list[DepthPoint]:
    """The points of which every seed ended well."""
    return [point for point in curve.points if history.trials[point.trial].objective_values is not None]


def _lesion(trained: TrainedNetwork, draws: int, pairs: int, limit: int) -> LesionedNetwork:
    dataset = trained.dataset
    images, labels = _batch(trained, limit)
    anatomy = Anatomy(trained.network, trained.architecture, dataset.input_shape, dataset.num_classes)

    def evaluate(network: nn.Module) -> float:
        pieces = zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True)
        with torch.inference_mode():
            wrong = [int((network(some).argmax(1) != right).sum()) for some, right in pieces]
        return sum(wrong) / len(labels)

    paths: list[PathLength] = []
    if anatomy.has_paths:
        paths = measure_path_lengths(anatomy, images[:_PATH_BATCH], labels[:_PATH_BATCH], draws=draws)
    return LesionedNetwork(
        f"{trained.name} · seed {trained.seed}",
        trained.architecture.block,
        trained.trial,
        trained.seed,
        1 - int(labels.bincount().max()) / len(labels),
        study_lesions(anatomy, evaluate, draws=draws, pairs=pairs),
        tuple(paths),
    )


def _batch(trained: TrainedNetwork, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    split: Split = trained.dataset.val
    # Drawn, for folders of images are listed by class.
    order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(0))
    drawn = split.select(order[: limit or len(split.labels)])
    normalise = Normalisation(trained.dataset, torch.device("cpu"))
    return normalise(drawn.images), drawn.labels
