"""Depth against error: the cells of a study, put together into curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from archsearch.analysis.curve_cells import find_answers, label_curve
from archsearch.journal import TrialHistory
from archsearch.search.ranking import Objectives, finished_trials, shown_trials
from archsearch.statistics.descriptive import mean_and_std

MEASURES = ("train_error", "val_error", "test_error")

_PHASES = {"search": "tried by the search", "confirm": "confirmed", "sweep": "as given"}


@dataclass(frozen=True)
class DepthPoint:
    """What the networks of one depth showed, on one curve.

    Attributes:
        depth: Weighted layers.
        trial: Number of the trial.
        name: Of the network.
        parameters: Of the network.
        macs: Of one image's forward pass.
        latency_ms: Of one image's forward pass; None where it was not measured.
        errors: By measure, one error per seed, as fractions; a measure that no seed has is missing.
        failed: Seeds whose training failed, or ended in what is not a number.
    """

    depth: int
    trial: int
    name: str
    parameters: int
    macs: int
    latency_ms: float | None
    errors: dict[str, tuple[float, ...]]
    failed: int = 0

    def mean(self, measure: str) -> float:
        """Mean over the seeds."""
        return mean_and_std(self.errors[measure])[0]

    def std(self, measure: str) -> float | None:
        """Sample standard deviation over the seeds; None with one seed."""
        return mean_and_std(self.errors[measure])[1]


@dataclass(frozen=True)
class DepthCurve:
    """Points that differ in depth, the shallowest first.

    Attributes:
        label: ``block=plain``: the swept values that the points share; of a search, the block.
        family: The block.
        joined: Whether a line from point to point means something; not so between networks that a search
            tried, which differ in more than depth.
    """

    label: str
    family: str
    joined: bool
    points: tuple[DepthPoint, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A mapping of JSON's values for each point."""
        return [_row(point) for point in self.points]


def depth_curves(trials: Iterable[TrialHistory], objectives: Objectives | None = None) -> list[DepthCurve]:
    """Put the trials of a study into curves: by their swept values, searched ones by their block.

    Of a study without a sweep, the networks that the search tried are shown beside the confirmed ones; of one
    with a sweep, each cell's answer, or its search where nothing confirms that. Confirmations that do not
    stand for their cell, of several objectives or from before the search has grown, come last and unjoined.

    Args:
        trials: Of the study.
        objectives: Of the study, see `find_answers`.
    """
    known = sorted(trials, key=lambda trial: trial.number)
    shown = {trial.number: trial for trial in shown_trials(known)}
    if not any(trial.cell for trial in known):
        shown.update((trial.number, trial) for trial in finished_trials(known, phases=["search"]))
    told = [trial for trial in known if trial.number in shown or trial.phase == "search"]
    answers = {trial.number for trial in find_answers(told, objectives or {})}
    others = {t.number for t in shown.values() if t.cell and t.phase == "confirm" and t.number not in answers}
    grouped: dict[str, list[TrialHistory]] = {}
    for number in sorted(shown, key=lambda number: (number in others, number)):
        label = _label(shown[number]) + (", other confirmations" if number in others else "")
        grouped.setdefault(label, []).append(shown[number])
    return [
        DepthCurve(
            label,
            str(members[0].architecture["block"]),
            joined=bool(members[0].cell) and members[0].phase != "search" and members[0].number not in others,
            points=tuple(sorted(map(_point, members), key=lambda point: (point.depth, point.trial))),
        )
        for label, members in grouped.items()
    ]


def _label(trial: TrialHistory) -> str:
    if trial.phase == "include":
        return f"baseline {trial.name}"
    if not trial.cell:
        return f"block={trial.architecture['block']}, {_PHASES[trial.phase]}"
    return label_curve(trial)


def _point(trial: TrialHistory) -> DepthPoint:
    errors: dict[str, tuple[float, ...]] = {}
    complete = [r for r in trial.replicates.values() if r.outcome == "complete"]
    for measure in MEASURES:
        found = [{**r.metrics, **r.test}.get(measure) for r in complete]
        values = tuple(value for value in found if value is not None and math.isfinite(value))
        if values:
            errors[measure] = values
    assert trial.parameters is not None
    assert trial.macs is not None
    return DepthPoint(
        depth=trial.architecture["depth"],
        trial=trial.number,
        name=trial.name,
        parameters=trial.parameters,
        macs=trial.macs,
        latency_ms=find_latency_ms(trial),
        errors=errors,
        failed=sum(r.outcome == "failed" for r in trial.replicates.values()),
    )


def _row(point: DepthPoint) -> dict[str, Any]:
    row: dict[str, Any] = {
        "depth": point.depth,
        "trial": point.trial,
        "network": point.name,
        "parameters": point.parameters,
        "macs": point.macs,
        "failed": point.failed,
    }
    for measure in MEASURES:
        if measure in point.errors:
            row[measure] = point.mean(measure)
            row[f"{measure}_std"] = point.std(measure)
            row["seeds"] = len(point.errors[measure])
    return row


def find_latency_ms(trial: TrialHistory) -> float | None:
    """The median over a trial's seeds of how long one image takes; None where it was not measured."""
    found = [{**r.metrics, **r.test}.get("latency_ms") for r in trial.replicates.values()]
    measured = [value for value in found if value is not None]
    return median(measured) if measured else None
