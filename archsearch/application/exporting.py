"""Export a network of a study, and load it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from archsearch.application.trained import find_best_replicate, find_trial, load_data
from archsearch.architecture import natural_input, published_architecture, resolve_architecture
from archsearch.errors import RunFolderError
from archsearch.export import ExportedNetwork, load_export, write_export
from archsearch.export.card import write_card
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.models import build_network
from archsearch.search.ranking import rank, reported_trials
from archsearch.statistics.descriptive import mean_and_std


def export_trial(
    study: str, output: str | Path, *, trial: int | None = None, runs_folder: str | Path = "runs"
) -> TrialHistory:
    """Write the best trial's network of a study, or the one asked for, as a folder.

    Args:
        study: Name of a study that was run, or its run folder.
        output: The folder to write.
        trial: Number of the trial; None takes the best.
        runs_folder: Folder of all run folders.

    Returns:
        The trial that was exported.

    Raises:
        RunFolderError: The study, or the trial, is not there or has no trained network.
        ExportError: The output cannot be written.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    chosen = _choose(history, trial)
    replicate, weights = find_best_replicate(folder, chosen)
    dataset, plugins = load_data(folder, chosen)
    network = ExportedNetwork(
        architecture=resolve_architecture(chosen.architecture),
        input_shape=dataset.input_shape,
        class_names=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        weights=load_file(weights),
        metrics=_metrics(history, chosen, replicate.seed),
        plugins=plugins,
    )
    write_export(network, write_card(history, chosen, network, replicate.seed), Path(output))
    return chosen


def load(folder: str | Path) -> nn.Module:
    """Give an exported network back in evaluation mode; it takes normalised images and returns logits.

    Raises:
        ExportError: The folder is incomplete, altered or of another version.
    """
    return load_export(folder)


def build(name: str, *, input: tuple[int, ...] | None = None, classes: int | None = None) -> nn.Module:
    """Build a published network with fresh weights: ``build("resnet56", input=(3, 32, 32), classes=10)``.

    Args:
        name: A published name, as `archsearch describe` takes it.
        input: (channels, height, width), or (features,); None takes the layout's usual shape.
        classes: None takes the layout's usual number.

    Raises:
        ArchitectureError: There is no such network, or it does not fit the input.
    """
    architecture = published_architecture(name)
    usual_shape, usual_classes = natural_input(architecture)
    return build_network(architecture, input or usual_shape, classes or usual_classes)


def _choose(history: StudyHistory, number: int | None) -> TrialHistory:
    if number is None:
        ranked = rank(reported_trials(history.trials.values()), history.header["objectives"])
        if not ranked:
            name = history.header["name"]
            raise RunFolderError(
                "must have a finished trial", path="STUDY", got=name, fix="Run it to its end."
            )
        return ranked[0]
    return find_trial(history, number)


def _metrics(history: StudyHistory, trial: TrialHistory, seed: int) -> Mapping[str, Any]:
    replicate = trial.replicates[seed]
    of_trial = dict(trial.metrics)
    tested = [r.test for r in trial.replicates.values() if r.test]
    for name in tested[0] if tested else ():
        of_trial[name], std = mean_and_std([test[name] for test in tested])
        if std is not None:
            of_trial[f"{name}_std"] = std
    return {
        "study": history.header["name"],
        "trial_number": trial.number,
        "seed": seed,
        "seeds": list(trial.seeds),
        "parameters": trial.parameters,
        "macs": trial.macs,
        "objectives": dict(zip(history.header["objectives"], trial.objective_values or (), strict=False)),
        "replicate": {**replicate.metrics, **replicate.test},
        "trial": of_trial,
    }
