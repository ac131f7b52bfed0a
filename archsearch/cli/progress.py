"""What `archsearch run` prints while it runs, and at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

from archsearch.application.running import Outcome
from archsearch.cli.printing import print_table
from archsearch.journal import Record, TrialHistory

_SHOWN_BEST = 10


class Progress:
    """Prints a line for each trial that ends.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._names: dict[int, str] = {}
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, soft_wrap=True, markup=False)

    def hear(self, record: Record) -> None:
        """Print what a record tells a person, if anything."""
        fields = record.fields
        if record.kind == "session":
            self.say(f"{fields['slots']} at a time ({fields['executor']}, {fields['device']})")
        elif record.kind == "trial":
            self._names[fields["trial"]] = fields["name"]
        elif record.kind == "told":
            self._tell(fields)
        elif record.kind == "replicate" and fields["outcome"] == "lost":
            self.say(
                f"         trial {fields['trial']} seed {fields['seed']}: {fields['reason']}; tried again"
            )

    def _tell(self, fields: Mapping[str, Any]) -> None:
        elapsed = time.monotonic() - self._started
        clock = f"{elapsed // 60:3.0f}:{elapsed % 60:02.0f}"
        name = f"{self._names.get(fields['trial'], ''):<34}"
        outcome = fields["outcome"]
        said = outcome if outcome == "complete" else f"{outcome}: {fields['reason']}"
        if outcome == "repeated":
            said = f"the same as trial {fields['repeated_of']}"
        metrics = fields["metrics"]
        if "val_error" in metrics and outcome == "complete":
            said = (
                f"validation error {metrics['val_error']:7.2%}   training error {metrics['train_error']:7.2%}"
            )
        self.say(f"{clock}  trial {fields['trial']:>3}  {name}  {said.rstrip(': ')}")


def print_outcome(outcome: Outcome) -> None:
    """Print the best trials, what became of the others, where MLflow is, and what to do next."""
    objectives = list(outcome.study.objectives)
    others = [name for name in ("val_error", "train_error") if name not in objectives]
    best = outcome.best[:_SHOWN_BEST]
    if best:
        header = ["", "trial", "network", "depth", "parameters", *objectives, *others, "test error"]
        rows = [_row(place, trial, objectives, others) for place, trial in enumerate(best, start=1)]
        print()
        print_table(header, rows, title=f"Best of {outcome.study.name}")
    counts = outcome.to_mapping()["trials"]
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"\n{outcome.reason[:1].upper()}{outcome.reason[1:]}. Trials: {told}.")
    print(f"Run folder:  {outcome.folder.path}")
    if outcome.tracking_uri:
        print(f"MLflow:      {outcome.tracking_uri}   (look at it: archsearch ui {outcome.study.name})")
    if outcome.mirrored and outcome.mirrored.error:
        print(f"             {outcome.mirrored.error}")
    print(f"Export:      archsearch export {outcome.study.name} --output exported/{outcome.study.name}")


def _row(place: int, trial: TrialHistory, objectives: list[str], others: list[str]) -> list[str]:
    tests = [r.test["test_error"] for r in trial.replicates.values() if "test_error" in r.test]
    metrics = trial.metrics
    return [
        str(place),
        str(trial.number),
        trial.name,
        str(trial.architecture["depth"]),
        f"{trial.parameters:,}",
        *(_measure(name, metrics) for name in [*objectives, *others]),
        f"{sum(tests) / len(tests):.2%}" if tests else "",
    ]


def _measure(name: str, metrics: Mapping[str, float]) -> str:
    value, std = metrics[name], metrics.get(f"{name}_std")
    if name.endswith(("accuracy", "error", "f1")):
        return f"{value:.2%}" if std is None else f"{value:.2%} ± {std:.2%}"
    return f"{value:,.4g}" if std is None else f"{value:,.4g} ± {std:.2g}"
