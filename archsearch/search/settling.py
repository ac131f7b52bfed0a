"""What a trial came to, from its replicates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from archsearch.journal import ReplicateHistory, TrialHistory
from archsearch.statistics.descriptive import mean_and_std

UNDER_WAY = (None, "lost", "paused")
"""Outcomes of a replicate that is still to be trained, or trained again, or may be trained further."""


@dataclass(frozen=True)
class Settlement:
    """The end of a trial.

    Attributes:
        outcome: complete, pruned or failed; infeasible where it was never trained.
        reason: Why it is not complete.
        values: Of the objectives, in the study's order; None where the trial is not complete.
        metrics: Means over the complete replicates, with `<name>_std` beside them where there are several.
    """

    outcome: Literal["complete", "pruned", "failed", "infeasible"]
    reason: str
    values: tuple[float, ...] | None
    metrics: Mapping[str, float]


def settle(trial: TrialHistory, objectives: Sequence[str]) -> Settlement:
    """Sum up a trial whose replicates have all ended; a replicate that failed fails the trial."""
    replicates = [trial.replicates[seed] for seed in trial.seeds]
    complete = [replicate for replicate in replicates if replicate.outcome == "complete"]
    metrics = {**average(complete), **_costs(trial)} if complete else {}
    if len(complete) < len(replicates):
        return _incomplete(replicates, metrics)
    values = tuple(metrics.get(name, math.nan) for name in objectives)
    missing = [name for name, value in zip(objectives, values, strict=True) if not math.isfinite(value)]
    if missing:
        return Settlement("failed", f"{', '.join(missing)} is not a finite number", None, metrics)
    return Settlement("complete", "", values, metrics)


def average(replicates: Iterable[ReplicateHistory]) -> dict[str, float]:
    """Means over replicates of the metrics that all of them have; sample deviations where several."""
    rows = [replicate.metrics for replicate in replicates]
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    metrics: dict[str, float] = {}
    for name in shared:
        metrics[name], std = mean_and_std([row[name] for row in rows])
        if std is not None:
            metrics[f"{name}_std"] = std
    return metrics


def _costs(trial: TrialHistory) -> dict[str, float]:
    known = {
        "depth": trial.architecture["depth"],
        "parameters": trial.parameters,
        "macs": trial.macs,
        "activation_mib": trial.activation_mib,
    }
    return {name: float(value) for name, value in known.items() if value is not None}


def _incomplete(replicates: list[ReplicateHistory], metrics: Mapping[str, float]) -> Settlement:
    if any(replicate.outcome == "stopped" for replicate in replicates):
        reason = f", {replicates[0].reason}" if replicates[0].reason else ""
        return Settlement("pruned", f"after epoch {len(replicates[0].epochs)}{reason}", None, metrics)
    failed = [replicate for replicate in replicates if replicate.outcome != "complete"]
    reasons = "; ".join(f"seed {replicate.seed}: {replicate.reason}" for replicate in failed)
    if len(replicates) == 1:
        reasons = failed[0].reason
    return Settlement("failed", reasons, None, metrics)


def is_settled(trial: TrialHistory) -> bool:
    """Whether every replicate asked for has ended and the trial was told thereafter."""
    replicates = [trial.replicates.get(seed) for seed in trial.seeds]
    if trial.told is None or any(r is None or r.outcome in UNDER_WAY for r in replicates):
        return False
    return all((replicate.finished or 0.0) <= trial.told for replicate in replicates if replicate)
