"""Export networks of a study, each as a folder that needs nothing of archsearch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archsearch.application.choosing import Choice, choose_trials
from archsearch.application.measuring_export import describe_pruned, measure_export
from archsearch.application.retraining import Retrained, Retraining, retrain
from archsearch.application.trained import find_best_replicate, load_data
from archsearch.architecture import resolve_architecture
from archsearch.data import Dataset
from archsearch.export import ExportedNetwork, check_place, check_several, choose_formats, write_export
from archsearch.export.card import CardFacts, write_card
from archsearch.export.confusion_plot import plot_confusion
from archsearch.export.folder import Compared
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.training.evaluation import load_network

_COMPARED_IMAGES = 256
_NO_PRUNING = "It was trained afresh: the test images are evaluated for it alone, and not for variants of it."


@dataclass(frozen=True)
class Exported:
    """A folder that was written.

    Attributes:
        differences: Of each format from the trained network, see `archsearch.export.folder`.
        notes: What was left out, and why.
        example: A raw validation image ``[1, …]``, as the network takes it.
        metrics: What metrics.json holds.
    """

    trial: TrialHistory
    folder: Path
    network: ExportedNetwork
    differences: dict[str, float]
    notes: tuple[str, ...]
    example: Tensor
    metrics: dict[str, Any]


def export_study(
    study: str,
    output: str | Path,
    *,
    choice: Choice | None = None,
    formats: Sequence[str] | None = None,
    retraining: Retraining | None = None,
    runs_folder: str | Path = "runs",
    say: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Write the best trial's network of a study, or those asked for, as folders.

    Args:
        study: Name of a study that was run, or its run folder.
        output: The folder to write; with `choice.pareto` one that holds a folder for each trial.
        choice: Which networks.
        formats: Among ``python``, ``onnx`` and ``pt2``; None writes all that can be.
        retraining: Train them afresh before; None takes the weights that the study has.
        runs_folder: Folder of all run folders.
        say: Called with sentences for the person who waits.

    Raises:
        RunFolderError: The study, or the trial, is not there or has no trained network.
        ExportError: The output cannot be written, or not in a format that was asked for.
        MismatchError: A file computes something else than the trained network.
    """
    folder, wanted = RunFolder.find(study, runs_folder), choice or Choice()
    history = folder.history()
    trials = choose_trials(history, wanted)
    places = [Path(output) / f"trial-{t.number:04d}" if wanted.pareto else Path(output) for t in trials]
    if wanted.pareto and Path(output).exists():
        check_several(Path(output))
    for place in places:
        check_place(place)
    exported = []
    for trial, place in zip(trials, places, strict=True):
        source = _find_source(folder, history, trial, retraining, say)
        exported.append(_export(source, place, formats))
    return exported


@dataclass(frozen=True)
class _Source:
    """A trained network and where it comes from; `dataset` is that whose figures normalise its input."""

    history: StudyHistory
    trial: TrialHistory
    dataset: Dataset
    plugins: tuple[str, ...]
    weights: Path
    seed: int
    retrained: Retrained | None


def _find_source(
    folder: RunFolder,
    history: StudyHistory,
    trial: TrialHistory,
    retraining: Retraining | None,
    say: Callable[[str], None],
) -> _Source:
    if retraining is None:
        replicate, weights = find_best_replicate(folder, trial)
        dataset, plugins = load_data(folder, trial)
        return _Source(history, trial, dataset, plugins, weights, replicate.seed, None)
    dataset, plugins = load_data(folder, trial)
    done = retrain(folder, trial, dataset, retraining, plugins=plugins, say=say)
    return _Source(history, trial, done.dataset, plugins, done.weights, done.seed, done)


def _export(source: _Source, output: Path, formats: Sequence[str] | None) -> Exported:
    dataset, architecture = source.dataset, resolve_architecture(source.trial.architecture)
    trained = load_network(
        architecture, dataset.input_shape, dataset.num_classes, weights_path=str(source.weights)
    )
    network = ExportedNetwork(
        architecture=architecture,
        input_shape=dataset.input_shape,
        class_names=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        largest=255 if dataset.train.images.dtype == torch.uint8 else 1,
        weights=trained.state_dict(),
        plugins=source.plugins,
    )
    chosen, notes = choose_formats(formats, network)
    network = replace(network, formats=chosen)
    found: dict[str, Any] = {}
    differences: dict[str, float] = {}

    def finish(folder: Path, compared: Compared) -> None:
        differences.update(compared.differences)
        found.update(_describe(source, network, folder, compared))
        text = json.dumps(found, indent=2, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        shown = found["test"]
        title = f"{source.trial.name}: {shown['images']} test images"
        plot_confusion(shown["confusion"], network.class_names, title, folder / "confusion.png")
        card = write_card(CardFacts(source.history, source.trial, network, source.seed, found, tuple(notes)))
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")

    images = dataset.val.images[:_COMPARED_IMAGES]
    write_export(network, images, output, finish)
    example = dataset.val.images[:1].float()
    return Exported(source.trial, output, network, differences, tuple(notes), example, found)


def _describe(source: _Source, network: ExportedNetwork, folder: Path, compared: Compared) -> dict[str, Any]:
    history, trial, retrained = source.history, source.trial, source.retrained
    facts = {
        "study": history.header["name"],
        "trial_number": trial.number,
        "seed": source.seed,
        "seeds": list(trial.seeds),
        "architecture_id": network.architecture.id,
        "data_fingerprint": trial.data_fingerprint or history.header["data_fingerprint"],
        "objectives": dict(zip(history.header["objectives"], trial.objective_values or (), strict=False)),
        "of_trial": dict(trial.metrics),
    }
    # images that it was trained on would flatter it
    unseen = retrained is None or retrained.facts["data"] == "train"
    measured = measure_export(network, source.dataset, folder, compared.runs, validated=unseen)
    pruned = (
        describe_pruned(network, source.dataset)
        if retrained is None
        else {"variants": [], "why_not": _NO_PRUNING}
    )
    return {
        **facts,
        **measured,
        "formats": {name: {"largest_difference": value} for name, value in compared.differences.items()},
        "pruned": pruned,
        "retrained": None if retrained is None else retrained.facts,
    }
