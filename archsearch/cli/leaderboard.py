"""The best trials of a study, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from archsearch.cli.measures import name_measure, show_measure
from archsearch.cli.printing import print_table
from archsearch.journal import StudyHistory, TrialHistory
from archsearch.search.ranking import finished_trials, rank, reported_trials
from archsearch.statistics.descriptive import mean_and_std

_SHOWN = 10


def print_leaderboards(history: StudyHistory, objectives: Mapping[str, str]) -> None:
    """Print what the study's answer rests on, then what a search found on its way there."""
    best = rank(reported_trials(history.trials.values()), objectives)
    name, confirmed = history.header["name"], any(trial.phase == "confirm" for trial in best)
    if best:
        again = f", trained again under {_say_seeds(best)}" if confirmed else ""
        _print_best(best, objectives, f"Best of {name}{again}")
    if confirmed:
        searched = finished_trials(history.trials.values(), phases=["search"])
        title = "Best of its search (the best of many tries: too good to be true)"
        _print_best(rank(searched, objectives), objectives, title)


def _say_seeds(trials: Sequence[TrialHistory]) -> str:
    counts = {len(trial.seeds) for trial in trials if trial.phase == "confirm"}
    if counts == {1}:
        return "a fresh seed"
    return f"{counts.pop()} fresh seeds" if len(counts) == 1 else "fresh seeds"


def _print_best(trials: Sequence[TrialHistory], objectives: Mapping[str, str], title: str) -> None:
    shown = trials[:_SHOWN]
    more = f" (the first {len(shown)} of {len(trials)})" if len(shown) < len(trials) else ""
    click.echo()
    print_table(*_list_trials(shown, list(objectives)), title=title + more)


def _list_trials(
    trials: Sequence[TrialHistory], objectives: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows; leaves out what no trial has, and the error where the accuracy says the same."""
    rows = [{**trial.metrics, **_test_error(trial)} for trial in trials]
    wanted = dict.fromkeys([*objectives, "train_error", "val_error", "test_error"])
    if "val_accuracy" in objectives and "val_error" not in objectives:
        del wanted["val_error"]
    measures = [
        name
        for name in wanted
        if name not in ("depth", "parameters") and any(name in metrics for metrics in rows)
    ]
    header = ["", "trial", "network", "depth", "parameters", *map(name_measure, measures)]
    return header, [
        [
            str(place),
            str(trial.number),
            trial.name,
            str(trial.architecture["depth"]),
            f"{trial.parameters:,}",
            *(_show(name, metrics) for name in measures),
        ]
        for place, (trial, metrics) in enumerate(zip(trials, rows, strict=True), start=1)
    ]


def _test_error(trial: TrialHistory) -> Mapping[str, float]:
    tests = [replicate.test["test_error"] for replicate in trial.replicates.values() if replicate.test]
    if not tests:
        return {}
    mean, std = mean_and_std(tests)
    return {"test_error": mean} if std is None else {"test_error": mean, "test_error_std": std}


def _show(name: str, metrics: Mapping[str, float]) -> str:
    if name not in metrics:
        return ""
    # what is counted is the same under all seeds
    std = None if name == "macs" else metrics.get(f"{name}_std")
    return show_measure(name, metrics[name], std)
