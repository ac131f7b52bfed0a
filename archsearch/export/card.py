"""The model card: what a network is, how it was trained, how good it is, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.export.folder import ExportedNetwork
from archsearch.journal import StudyHistory, TrialHistory

_ERRORS = {"train_error": "training", "val_error": "validation", "test_error": "test"}


def write_card(history: StudyHistory, trial: TrialHistory, network: ExportedNetwork, seed: int) -> str:
    """Write the card of one trial's network, in Markdown.

    Args:
        history: The study.
        trial: The trial.
        network: What is exported.
        seed: The replicate whose weights these are.
    """
    header, metrics = history.header, network.metrics
    shape = " x ".join(str(size) for size in network.input_shape)
    errors = [
        f"| {label} | {metrics['replicate'][name]:.2%} | {_over_seeds(metrics, name)} |"
        for name, label in _ERRORS.items()
        if name in metrics["replicate"]
    ]
    settings = [f"| {name} | {value} |" for name, value in trial.training.items()]
    return "\n".join(
        [
            f"# {trial.name}",
            "",
            f"An image classifier with {trial.architecture['depth']} weighted layers, {trial.parameters:,} "
            f"parameters and {trial.macs:,} multiply-accumulates an image. Input: {shape}; classes: "
            f"{', '.join(network.class_names)}.",
            "",
            f"Found by the study `{header['name']}` (archsearch {header['archsearch']}), trial "
            f"{trial.number}, seed {seed}, architecture `{trial.architecture_id}`.",
            "",
            "## How good it is",
            "",
            f"| error on | this network | mean of {len(trial.seeds)} seed(s) |",
            "|---|---|---|",
            *errors,
            "",
            _choice_of_seed(trial),
            "",
            "## How it was trained",
            "",
            f"Data: `{trial.data['name']}`, fingerprint `{header['data_fingerprint']}`, split seed "
            f"{trial.data['split_seed']}.",
            "",
            "| setting | value |",
            "|---|---|",
            *settings,
            "",
            "## How to load it",
            "",
            "```python",
            "import archsearch",
            "",
            'network = archsearch.load("path/to/this/folder")  # takes normalised images, gives logits',
            "```",
            "",
            "`architecture.yaml` holds the mean and standard deviation that images are normalised with.",
            "",
            "## Limits",
            "",
            f"It knows images like those of `{trial.data['name']}` and no others, and it always answers with "
            "one of its classes. The validation error of a search's best trial is too good to be true, "
            "having been chosen as the smallest of many; the test error was read once, after the choice.",
            "",
            "Licence: of the weights, yours to state.",
            "",
        ]
    )


def _over_seeds(metrics: Mapping[str, Any], name: str) -> str:
    mean, std = metrics["trial"].get(name), metrics["trial"].get(f"{name}_std")
    if mean is None:
        return ""
    return f"{mean:.2%}" if std is None else f"{mean:.2%} ± {std:.2%}"


def _choice_of_seed(trial: TrialHistory) -> str:
    if len(trial.seeds) == 1:
        return "It was trained under one seed, which says nothing about how much another would differ."
    return "Of the trial's seeds, this one has the lowest validation error (the first of equals)."
