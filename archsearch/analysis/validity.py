"""Doubts about a comparison that its trials themselves give: they stand beside a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from archsearch.analysis.wording import listed, percent
from archsearch.journal import ReplicateHistory, SessionHistory, TrialHistory
from archsearch.study.schema import SMALLEST_DIFFERENCE

_IMAGES = {
    "classes": "numbers of classes",
    "train_images": "numbers of training images",
    "val_images": "numbers of validation images",
}
_SCHEDULE = ("epochs", "batch_size", "optimizer", "schedule", "milestones", "gamma", "warmup_epochs")

# Nearer to it, what networks are matched to counts as met; a fraction.
MATCHED_WITHIN = 0.02

# A best value this near to an end of its range, as a share of the range, might lie beyond it.
_EDGE = 0.05

# A network whose loss falls by this share from one tenth of its epochs to the last has not come to rest.
_STILL_FALLING = 0.05


def find_notes(
    trials: Sequence[TrialHistory], search: Mapping[str, Any], sessions: Sequence[SessionHistory] = ()
) -> tuple[str, ...]:
    """Say what makes the comparison of these trials doubtful.

    Args:
        trials: Of one curve, one a depth.
        search: The study's search dimensions by label, as its identity gives them.
        sessions: Of the study, which know what each training ran under.
    """
    return (
        *_unequal_data(trials),
        *_unequal_schedules(trials),
        *_mismatches(trials),
        *_edges(trials, search),
        *_still_improving(trials),
        *_unequal_provenance(trials, sessions),
    )


def _unequal_data(trials: Sequence[TrialHistory]) -> list[str]:
    found = []
    for name, said in _IMAGES.items():
        values = sorted({value for trial in trials if (value := getattr(trial, name)) is not None})
        if len(values) > 1:
            counts = listed([f"{value:,}" for value in values])
            found.append(f"Depths have unequal {said}, {counts}: the tests take the smallest.")
    return found


def _unequal_schedules(trials: Sequence[TrialHistory]) -> list[str]:
    found = []
    for name in _SCHEDULE:
        values = {str(trial.training[name]) for trial in trials if name in trial.training}
        if len(values) > 1:
            found.append(f"Depths were trained under unequal {name}: {listed(sorted(values))}.")
    return found


def _mismatches(trials: Sequence[TrialHistory]) -> list[str]:
    missed = [
        f"{trial.name} by {percent(abs(trial.mismatch))} too {'large' if trial.mismatch > 0 else 'small'}"
        for trial in trials
        if trial.mismatch is not None and abs(trial.mismatch) > MATCHED_WITHIN
    ]
    return (
        [f"No whole width meets the budget that networks were matched to: {listed(missed)}."]
        if missed
        else []
    )


def _edges(trials: Sequence[TrialHistory], search: Mapping[str, Any]) -> list[str]:
    found = []
    for label, dimension in search.items():
        if not label.startswith("training.") or (ends := _ends(dimension)) is None:
            continue
        edges = []
        for trial in trials:
            value = trial.values.get(label)
            if isinstance(value, int | float):
                edges += [_depth(trial)] if _at_edge(value, ends, dimension) else []
        if edges:
            found.append(
                f"The best {label} at depth {listed(edges)} lies at the edge of its range, "
                f"{ends[0]:g} to {ends[1]:g}: beyond it there may be a better one."
            )
    return found


def _ends(dimension: Mapping[str, Any]) -> tuple[float, float] | None:
    """The least and the largest value, of a range or of numbers to choose from; None without an order."""
    values = [dimension["low"], dimension["high"]] if "low" in dimension else dimension.get("choice", [])
    if len(values) < 2 or not all(type(value) in (int, float) for value in values):
        return None
    return min(values), max(values)


def _at_edge(value: float, ends: tuple[float, float], dimension: Mapping[str, Any]) -> bool:
    if "low" not in dimension:
        return value in ends
    low, high = ends
    if dimension.get("log"):
        value, low, high = math.log(value), math.log(low), math.log(high)
    place = (value - low) / (high - low)
    return not _EDGE < place < 1 - _EDGE


def _still_improving(trials: Sequence[TrialHistory]) -> list[str]:
    depths = [
        _depth(trial)
        for trial in trials
        if any(_is_improving(replicate) for replicate in trial.replicates.values())
    ]
    if not depths:
        return []
    return [f"At depth {listed(depths)} the training loss was still falling at the end: train longer."]


def _is_improving(replicate: ReplicateHistory) -> bool:
    """Whether the loss still fell, and there was still an error to lose."""
    losses = [metrics["train_loss"] for metrics in replicate.epochs if "train_loss" in metrics]
    tenth = max(1, len(losses) // 10)
    if replicate.outcome != "complete" or len(losses) < 2 * tenth:
        return False
    if replicate.metrics.get("train_error", 0.0) < SMALLEST_DIFFERENCE:
        return False
    before, last = fmean(losses[-2 * tenth : -tenth]), fmean(losses[-tenth:])
    return last < (1 - _STILL_FALLING) * before


def _unequal_provenance(trials: Sequence[TrialHistory], sessions: Sequence[SessionHistory]) -> list[str]:
    """Say what trainings of one curve ran under that differs: versions, commit, model of the device."""
    replicates = [replicate for trial in trials for replicate in trial.replicates.values()]
    numbers = sorted({item.session for item in replicates if item.session is not None})
    values: dict[str, dict[str, None]] = {}
    for number in numbers:
        for name, value in sessions[number].provenance.items():
            values.setdefault(name, {})[value] = None
    return [
        f"Trainings ran under different versions or devices, {name}: {listed(list(found))}."
        for name, found in values.items()
        if len(found) > 1
    ]


def _depth(trial: TrialHistory) -> int:
    return int(trial.architecture["depth"])
