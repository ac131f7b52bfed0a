"""From run folders to the small tables and pictures of a claim's results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from archsearch.analysis import CellResults
from archsearch.analysis.curve_reading import CurveReading, read_cell, read_curves
from archsearch.analysis.frames import Frames
from archsearch.analysis.identity import try_identity
from archsearch.analysis.lesion import LesionedNetwork
from archsearch.analysis.path_lengths import PathLength
from archsearch.application.describing import describe
from archsearch.application.probing import deepening_test, lesion_study
from archsearch.application.reporting import report_study
from archsearch.data import load_dataset
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.study.settings import DataSettings
from experiments.pictures import draw_accuracy

# So many digits are far below the spread of the seeds, and keep the tables small.
_DIGITS = "%.6g"
_RATE = "training.learning_rate"
_IDENTITY_SEEDS = 5
_IDENTITY_BLOCKS = (1, 3, 9)
_IDENTITY_STEPS = 300
# Of the validation images: an error of one in a hundred is then known to a third of a point.
_LESION_IMAGES = 1000
_IDENTITY_STDS: Mapping[str, float | None] = {"normal, 0.1": 0.1, "he": None}


@dataclass(frozen=True)
class Ran:
    """Studies that were run, on their way to the results of a claim.

    Attributes:
        folders: Their run folders by the names that the claim has for them.
        results: Where tables and pictures go.
    """

    folders: Mapping[str, RunFolder]
    results: Path

    @cached_property
    def histories(self) -> Mapping[str, StudyHistory]:
        """What their journals say."""
        return {study: folder.history() for study, folder in self.folders.items()}

    def write(self, name: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
        """Write the table NAME.csv; `columns` are those of one that may have no rows."""
        self.results.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(list(rows), columns=list(columns) or None)
        frame.to_csv(self.results / f"{name}.csv", index=False, float_format=_DIGITS, lineterminator="\n")

    def copy(self, study: str, picture: str) -> None:
        """Copy a picture of a study's report."""
        self.results.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folders[study].report / f"{picture}.png", self.results / f"{study}_{picture}.png")


def gather_trainings(ran: Ran) -> None:
    """Write what every claim rests on: the trainings of all cells, and what each study is and spent."""
    ran.write("trainings", _all_trainings(ran))
    ran.write("studies", (_describe(study, history) for study, history in ran.histories.items()))


def gather_epochs(ran: Ran) -> None:
    """Write the validation error and the seconds of every epoch of the cells."""
    rows = []
    for study, history in ran.histories.items():
        images = history.header["train_images"]
        for reading, trial, seed in _cells(history):
            for epoch, metrics in enumerate(trial.replicates[seed].epochs, start=1):
                place = {"study": study, "curve": reading.results.label, "depth": trial.architecture["depth"]}
                seconds = images / metrics["images_per_s"]
                rows.append(
                    {
                        **place,
                        "seed": seed,
                        "epoch": epoch,
                        "val_error": metrics["val_error"],
                        "seconds": seconds,
                    }
                )
    ran.write("epochs", rows)


def gather_identity(ran: Ran) -> None:
    """Write how near stacks of blocks come to the identity; they need no study."""
    tests = (
        {
            "initialization": name,
            **asdict(try_identity(block, blocks, seed=seed, steps=_IDENTITY_STEPS, std=std)),
        }
        for name, std in _IDENTITY_STDS.items()
        for block in ("plain", "residual")
        for blocks in _IDENTITY_BLOCKS
        for seed in range(_IDENTITY_SEEDS)
    )
    ran.write("identity", tests)


def gather_deepening(ran: Ran) -> None:
    """Write what the deeper networks of the first study miss of their shallower neighbours extended."""
    folder = next(iter(ran.folders.values()))
    found = deepening_test(str(folder.path), runs_folder=folder.path.parent)
    ran.write("deepening", ({**asdict(test), "gap": test.gap} for test in found))


def gather_lesions(ran: Ran) -> None:
    """Write what the first study's networks lose with their blocks, and which paths carry their gradients.

    A cell none of whose trainings came to its end has no rows.
    """
    study, folder = next(iter(ran.folders.items()))
    cells = {
        trial.number: {"curve": reading.results.label, "depth": trial.architecture["depth"]}
        for reading in read_curves(ran.histories[study])
        for trial in reading.trials
        if read_cell(trial).train_errors
    }
    networks: tuple[LesionedNetwork, ...] = ()
    if cells:
        report = lesion_study(
            str(folder.path), trials=list(cells), images=_LESION_IMAGES, runs_folder=folder.path.parent
        )
        networks = report.networks
        ran.copy(study, "lesion")
    lesions, paths = [], []
    for network in networks:
        here = cells[network.trial]
        lesions += [
            {
                **here,
                "kind": lesion.kind,
                "blocks": " ".join(map(str, lesion.blocks)),
                "error": lesion.error,
                "damage": lesion.error - network.study.error,
            }
            for lesion in network.study.lesions
        ]
        paths += [{**here, "branches": network.study.blocks, **asdict(path)} for path in network.paths]
    ran.write("lesions", lesions, ["curve", "depth", "kind", "blocks", "error", "damage"])
    ran.write("paths", paths, ["curve", "depth", "branches", *(field.name for field in fields(PathLength))])


def gather_rates(ran: Ran) -> None:
    """Write the learning rate that each cell's search found best, and the least and largest that it tried."""
    rows = []
    for study, history in ran.histories.items():
        for reading in read_curves(history):
            for trial in reading.trials:
                tried = [
                    other.values[_RATE]
                    for other in history.trials.values()
                    if other.cell == trial.cell and _RATE in other.values
                ]
                if tried:
                    rows.append(
                        {
                            "study": study,
                            "curve": reading.results.label,
                            "depth": trial.architecture["depth"],
                            "rate": trial.values[_RATE],
                            "lowest": min(tried),
                            "highest": max(tried),
                        }
                    )
    ran.write("rates", rows)


def draw_parameters(ran: Ran) -> None:
    """Draw accuracy against parameters for the networks of all studies."""
    ran.results.mkdir(parents=True, exist_ok=True)
    trainings = pd.DataFrame(_all_trainings(ran))
    draw_accuracy(trainings, ran.results / "accuracy_parameters.png")


def gather_counts(ran: Ran) -> None:
    """Write depth, parameters and multiply-accumulates of the published networks."""
    described = [describe(name).to_mapping() for name in ("vgg19", "resnet152")]
    names = ("name", "depth", "parameters", "macs")
    ran.write("counts", ({name: network[name] for name in names} for network in described))


def gather_search(ran: Ran) -> None:
    """Write what the search of the study `study` tried, and the settings of what it answered with."""
    frames = Frames(ran.histories["study"])
    columns = ["trial", "network", "phase", "outcome", "parameters", "macs", "val_error"]
    settings = [name for name in (_RATE, "training.weight_decay") if name in frames.trials]
    ran.write("search", frames.trials[[*columns, *settings]].to_dict("records"))


def write_report(folder: RunFolder) -> None:
    """Draw the pictures of a study's report anew."""
    report_study(str(folder.path), runs_folder=folder.path.parent)


def _cells(history: StudyHistory) -> Iterator[tuple[CurveReading, TrialHistory, int]]:
    """Every training that stands for a cell."""
    for reading in read_curves(history):
        for trial in reading.trials:
            for seed in trial.seeds:
                if seed in trial.replicates:
                    yield reading, trial, seed


def _all_trainings(ran: Ran) -> Iterator[dict[str, Any]]:
    return (row for study in ran.folders for row in _trainings(study, ran.histories[study]))


def _trainings(study: str, history: StudyHistory) -> Iterator[dict[str, Any]]:
    for reading, trial, seed in _cells(history):
        replicate, alone = trial.replicates[seed], read_cell(replace(trial, seeds=(seed,)))
        yield {
            "study": study,
            "curve": reading.results.label,
            "family": reading.results.family,
            "depth": alone.depth,
            "network": trial.name,
            "parameters": trial.parameters,
            "macs": trial.macs,
            "seed": seed,
            "outcome": _outcome(alone),
            "train_error": _first(alone.train_errors),
            "val_error": _first(alone.val_errors),
            "test_error": replicate.test.get("test_error"),
            "epochs": len(replicate.epochs),
            "train_time_s": replicate.metrics.get("train_time_s"),
            "initial_gradient_ratio": _first(alone.initial_gradient_ratios),
            "gradient_ratio": _first(alone.gradient_ratios),
        }


def _outcome(alone: CellResults) -> str:
    """How the only training of a cell ended, as `read_cell` counts it."""
    counts = {name: getattr(alone, name) for name in ("diverged", "failed", "missing")}
    return next((name for name, count in counts.items() if count), "complete")


def _find_format(data: Mapping[str, Any]) -> str:
    """The format of the images of a folder, as PNG; empty for what is no folder."""
    if data["name"] != "image_folder":
        return ""
    with Image.open(next(path for path in Path(data["root"]).glob("train/*/*"))) as image:
        return str(image.format)


def _first(values: tuple[float, ...]) -> float | None:
    return values[0] if values else None


def _describe(study: str, history: StudyHistory) -> dict[str, Any]:
    header, session = history.header, history.sessions[-1]
    trial = next(trial for trial in history.trials.values() if trial.data)
    dataset = load_dataset(DataSettings.model_validate_json(json.dumps(dict(trial.data))))
    trained = [
        (trial.macs or 0, len(replicate.epochs))
        for trial in history.trials.values()
        for replicate in trial.replicates.values()
    ]
    return {
        "study": study,
        "name": header["name"],
        "data": trial.data["name"],
        "files": _find_format(trial.data),
        "classes": trial.classes,
        "train_images": trial.train_images,
        "val_images": trial.val_images,
        "test_images": len(dataset.test.labels),
        "epochs": trial.training["epochs"],
        "smallest_difference": history.question["smallest_difference"],
        "trainings": len(trained),
        # forward passes over the training images
        "macs": sum(macs * epochs * trial.train_images for macs, epochs in trained),
        "device": session.provenance.get("device", ""),
        "torch": session.provenance.get("torch", ""),
        "archsearch": session.provenance.get("archsearch", ""),
    }
