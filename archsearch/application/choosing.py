"""Which trials of a study are exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.analysis.depth_curve import find_latency_ms
from archsearch.analysis.recommendation import recommend
from archsearch.application.trained import find_trial
from archsearch.errors import InputError, RunFolderError
from archsearch.journal import StudyHistory, TrialHistory
from archsearch.search.ranking import pareto_front, rank, reported_trials

_COSTS = (
    "parameters",
    "macs",
    "activation_mib",
    "latency_ms",
    "latency_onnx_ms",
    "train_time_s",
    "peak_memory_mib",
)


@dataclass(frozen=True)
class Choice:
    """What was asked for, at most one of them; the best trial by the study's objectives where nothing was.

    Attributes:
        trial: A number.
        best: A measure, of which the best value is taken.
        pareto: All trials that none beats in every objective; of a study of one objective in validation
            error, parameters, multiply-accumulates and latency.
        depth: A depth, of which the best is taken.
    """

    trial: int | None = None
    best: str | None = None
    pareto: bool = False
    depth: int | None = None


def choose_trials(history: StudyHistory, choice: Choice) -> list[TrialHistory]:
    """Return the trials chosen; more than one with `pareto` alone.

    Raises:
        InputError: There is no such trial, measure or depth.
        RunFolderError: The study has no finished trial.
    """
    if choice.trial is not None:
        return [find_trial(history, choice.trial)]
    objectives: Mapping[str, str] = history.header.get("objectives", {})
    ranked = rank(reported_trials(history.trials.values()), objectives)
    if not ranked:
        name = history.header.get("name", "")
        raise RunFolderError("must have a finished trial", path="STUDY", got=name, fix="Run it to its end.")
    if choice.pareto:
        return _find_front(ranked, objectives)
    if choice.best is not None:
        return [_find_best(ranked, choice.best, objectives)]
    if choice.depth is not None:
        return [_find_depth(ranked, choice.depth)]
    return ranked[:1]


def _find_front(ranked: Sequence[TrialHistory], objectives: Mapping[str, str]) -> list[TrialHistory]:
    if len(objectives) > 1:
        return pareto_front(ranked, objectives)
    recommendation = recommend(ranked)
    front = set(recommendation.front) if recommendation else set()
    return [trial for trial in ranked if trial.number in front]


def _find_best(ranked: Sequence[TrialHistory], measure: str, objectives: Mapping[str, str]) -> TrialHistory:
    if measure.startswith("test_"):
        raise InputError(
            "must be no measure of the test set, on which nothing is chosen",
            path="--best",
            got=measure,
            fix=f"Take {measure.replace('test_', 'val_')}.",
        )
    values = {trial.number: _read(trial, measure) for trial in ranked}
    known = [trial for trial in ranked if values[trial.number] is not None]
    if not known:
        measures = sorted({name for trial in ranked for name in (*trial.metrics, "parameters", "macs")})
        raise InputError(
            "must be a measure of the study", path="--best", got=measure, fix=f"It has {', '.join(measures)}."
        )
    smaller = measure in _COSTS or measure.endswith(("_error", "_loss"))
    if measure in objectives:
        smaller = objectives[measure] == "minimize"
    # of equals the first, which is the better one by the objectives
    return min(known, key=lambda trial: (values[trial.number] or 0) * (1 if smaller else -1))


def _read(trial: TrialHistory, measure: str) -> float | None:
    if measure == "latency_ms":
        return find_latency_ms(trial)
    own = {"parameters": trial.parameters, "macs": trial.macs, "activation_mib": trial.activation_mib}
    return own.get(measure, trial.metrics.get(measure))


def _find_depth(ranked: Sequence[TrialHistory], depth: int) -> TrialHistory:
    found = [trial for trial in ranked if trial.architecture["depth"] == depth]
    if not found:
        depths = sorted({trial.architecture["depth"] for trial in ranked})
        raise InputError(
            "must be a depth of a finished network",
            path="--depth",
            got=depth,
            fix=f"There are {', '.join(map(str, depths))}.",
        )
    return found[0]
