"""The trained networks of a study, found by the number of their trial."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.application.studies import pick_trial
from archsearch.architecture import Architecture, resolve_architecture
from archsearch.data import Dataset, load_dataset, load_source_plugins
from archsearch.errors import InputError, RunFolderError
from archsearch.journal import ReplicateHistory, RunFolder, StudyHistory, TrialHistory
from archsearch.study import parse_study
from archsearch.study.settings import DataSettings
from archsearch.training.evaluation import load_network


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The best replicate of a trial, in evaluation mode on the CPU, with its data.

    Attributes:
        name: Of the architecture.
        trial: Number of the trial.
    """

    name: str
    trial: int
    seed: int
    architecture: Architecture
    dataset: Dataset
    network: Any


def find_trial(history: StudyHistory, number: int) -> TrialHistory:
    """Return a trial; of one that repeats another without values of its own, that other one.

    Raises:
        InputError: There is no such trial.
    """
    trial = pick_trial(history, number, path="--trial")
    if trial.outcome == "repeated" and trial.repeated_of is not None and not trial.objective_values:
        trial = history.trials[trial.repeated_of]
    return trial


def find_best_replicate(folder: RunFolder, trial: TrialHistory) -> tuple[ReplicateHistory, Path]:
    """Return the replicate of the smallest validation error, and the file of its weights.

    Raises:
        InputError: None was trained to its end.
        RunFolderError: Its weights are missing.
    """
    complete = [r for r in trial.replicates.values() if r.outcome == "complete"]
    if not complete:
        raise InputError(
            "must be a trial with a trained network",
            path="--trial",
            got=trial.number,
            fix=f"Its outcome is {trial.outcome}{f' ({trial.reason})' if trial.reason else ''}.",
        )
    best = min(complete, key=lambda replicate: (replicate.metrics["val_error"], replicate.seed))
    path = folder.weights_of(trial, best)
    if not path.is_file():
        raise RunFolderError(
            f"must hold the weights of trial {trial.number}, which were not kept",
            path=str(path),
            fix="A study keeps those that its answer rests on; execution: {keep: all} keeps every trial's.",
        )
    return best, path


def has_weights(folder: RunFolder, trial: TrialHistory) -> bool:
    """Whether the weights of all trained replicates of a trial are on disk."""
    complete = [r for r in trial.replicates.values() if r.outcome == "complete"]
    return bool(complete) and all(folder.weights_of(trial, replicate).is_file() for replicate in complete)


def load_data(folder: RunFolder, trial: TrialHistory) -> tuple[Dataset, tuple[str, ...]]:
    """Load the data that a trial was trained on; returns the study's plugins, too, which are loaded then."""
    # Reading the study again loads the blocks of its plugins.
    plugins = parse_study(folder.study.read_text(encoding="utf-8"), str(folder.study)).plugins
    load_source_plugins(plugins)
    return load_dataset(DataSettings.model_validate_json(json.dumps(dict(trial.data)))), plugins


def find_trained(folder: RunFolder, history: StudyHistory, number: int) -> TrainedNetwork:
    """Load the best trained network of a trial.

    Raises:
        InputError: There is no such trial, or it has no trained network.
        RunFolderError: Its weights are missing or damaged.
    """
    trial = find_trial(history, number)
    replicate, weights = find_best_replicate(folder, trial)
    dataset, _ = load_data(folder, trial)
    architecture = resolve_architecture(trial.architecture)
    network = load_network(architecture, dataset.input_shape, dataset.num_classes, weights_path=str(weights))
    return TrainedNetwork(trial.name, trial.number, replicate.seed, architecture, dataset, network)
