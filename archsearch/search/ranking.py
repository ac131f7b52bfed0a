"""Which trials are best: one order for one objective, a Pareto front for several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archsearch.journal import TrialHistory
from archsearch.statistics.fronts import pareto_indices

Objectives = Mapping[str, str]


def finished_trials(trials: Iterable[TrialHistory], *, phases: Sequence[str]) -> list[TrialHistory]:
    """The trials of some phases that ended with a value, in the order of their numbers.

    A repeated trial of a search adds nothing to the one that it repeats; in other phases it stands for its
    cell.
    """
    return [
        trial
        for trial in trials
        if trial.phase in phases
        and trial.objective_values is not None
        and (trial.outcome == "complete" or (trial.outcome == "repeated" and trial.phase != "search"))
    ]


def reported_trials(trials: Iterable[TrialHistory]) -> list[TrialHistory]:
    """The trials that a study's answer rests on: its confirmations, else all that ended with a value.

    The value with which a search found its best is the largest of many and so too good; a confirmation's
    is not.
    """
    known = list(trials)
    confirmed = finished_trials(known, phases=["confirm"])
    if confirmed:
        return finished_trials(known, phases=["confirm", "include"])
    return finished_trials(known, phases=["search", "sweep", "include"])


def shown_trials(trials: Iterable[TrialHistory]) -> list[TrialHistory]:
    """The reported trials, and what has come to something under some of its seeds without having a value.

    A cell of which a seed failed, or is still to be trained, is no less a part of its curve.
    """
    known = list(trials)
    reported = {trial.number for trial in reported_trials(known)}
    confirmed = any(trial.phase == "confirm" for trial in known)
    phases = ("confirm", "include") if confirmed else ("sweep", "include")
    return [
        trial
        for trial in known
        if trial.number in reported
        or (
            trial.phase in phases
            and trial.outcome != "infeasible"
            and any(replicate.outcome in ("complete", "failed") for replicate in trial.replicates.values())
        )
    ]


def rank(trials: Iterable[TrialHistory], objectives: Objectives) -> list[TrialHistory]:
    """Best first: by value, by Pareto front and then the first objective where there are several."""
    remaining = sorted(trials, key=lambda trial: _losses(trial, objectives))
    if len(objectives) == 1:
        return remaining
    ranked: list[TrialHistory] = []
    while remaining:
        front = pareto_front(remaining, objectives)
        ranked += front
        numbers = {trial.number for trial in front}
        remaining = [trial for trial in remaining if trial.number not in numbers]
    return ranked


def find_best(trials: Iterable[TrialHistory], objectives: Objectives) -> list[TrialHistory]:
    """The best trial; of several objectives the Pareto front, ranked."""
    ranked = rank(trials, objectives)
    return ranked[:1] if len(objectives) == 1 else pareto_front(ranked, objectives)


def pareto_front(trials: Sequence[TrialHistory], objectives: Objectives) -> list[TrialHistory]:
    """The trials that no other one beats in one objective without losing in another, order kept."""
    return [trials[place] for place in pareto_indices([_losses(trial, objectives) for trial in trials])]


def _losses(trial: TrialHistory, objectives: Objectives) -> tuple[float, ...]:
    assert trial.objective_values is not None
    return tuple(
        -value if direction == "maximize" else value
        for value, direction in zip(trial.objective_values, objectives.values(), strict=True)
    )
