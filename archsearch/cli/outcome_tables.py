"""What `archsearch run` prints at its end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from archsearch.application.reporting import Report
from archsearch.application.running import Outcome
from archsearch.cli.printing import print_table
from archsearch.journal import TrialHistory
from archsearch.statistics.descriptive import mean_and_std

_SHOWN_BEST = 10
_WORDS = {
    "val_accuracy": "validation accuracy",
    "val_error": "validation error",
    "train_error": "training error",
    "test_error": "test error",
}


def print_outcome(outcome: Outcome, report: Report | None) -> None:
    """Print the best trials, what they show, what became of all, where MLflow is, and what to do next."""
    for title, trials in _titled(outcome):
        shown = trials[:_SHOWN_BEST]
        more = f" (the first {len(shown)} of {len(trials)})" if len(shown) < len(trials) else ""
        click.echo()
        print_table(*_table(shown, list(outcome.study.objectives)), title=title + more)
    for verdict in report.verdicts if report else ():
        click.echo(f"\n{verdict.sentence}")
    name = outcome.study.name
    runs = outcome.folder.path.parent
    option = "" if runs == Path("runs") else f" --runs-dir {shlex.quote(str(runs))}"
    told = ", ".join(f"{count} {what}" for what, count in sorted(outcome.counts.items()))
    click.echo(f"\n{outcome.reason[:1].upper()}{outcome.reason[1:]}. Trials: {told}.")
    click.echo(f"Run folder:  {outcome.folder.path}")
    if outcome.tracking_uri:
        click.echo(f"MLflow:      {outcome.tracking_uri}   (look at it: archsearch ui {name}{option})")
    if outcome.mirrored and outcome.mirrored.error:
        click.echo(f"             {outcome.mirrored.error}")
    if report:
        click.echo(f"Report:      {report.page}   (in full: archsearch report {name}{option})")
    if outcome.best:
        click.echo(f"Export:      archsearch export {name} --output exported/{name}{option}")


def _titled(outcome: Outcome) -> list[tuple[str, list[TrialHistory]]]:
    """Titles and trials, best first: what the answer rests on, then what a search found on its way there."""
    name, best = outcome.study.name, outcome.best
    if not best:
        return []
    if not any(trial.phase == "confirm" for trial in best):
        return [(f"Best of {name}", best)]
    seeds = len(outcome.study.confirmation_seeds)
    said = "a fresh seed" if seeds == 1 else f"{seeds} fresh seeds"
    return [
        (f"Best of {name}, trained again under {said}", best),
        ("Best of its search (the best of many tries: too good to be true)", outcome.best_of_search),
    ]


def _table(trials: Sequence[TrialHistory], objectives: Sequence[str]) -> tuple[list[str], list[list[str]]]:
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
    header = ["", "trial", "network", "depth", "parameters", *(_WORDS.get(name, name) for name in measures)]
    return header, [
        [
            str(place),
            str(trial.number),
            trial.name,
            str(trial.architecture["depth"]),
            f"{trial.parameters:,}",
            *(_shown(name, metrics) for name in measures),
        ]
        for place, (trial, metrics) in enumerate(zip(trials, rows, strict=True), start=1)
    ]


def _test_error(trial: TrialHistory) -> Mapping[str, float]:
    tests = [replicate.test["test_error"] for replicate in trial.replicates.values() if replicate.test]
    if not tests:
        return {}
    mean, std = mean_and_std(tests)
    return {"test_error": mean} if std is None else {"test_error": mean, "test_error_std": std}


def _shown(name: str, metrics: Mapping[str, float]) -> str:
    if name not in metrics:
        return ""
    value, std = metrics[name], metrics.get(f"{name}_std")
    if name.endswith(("accuracy", "error", "f1")):
        return f"{value:.2%}" if std is None else f"{value:.2%} ± {std:.2%}"
    if name == "macs":
        return f"{value:,.0f}"
    return f"{value:,.4g}" if std is None else f"{value:,.4g} ± {std:.2g}"
