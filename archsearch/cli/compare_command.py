"""`archsearch compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import complete_studies, json_option, runs_folder_option

if TYPE_CHECKING:
    from archsearch.application.comparing import SideBySide, Subject
    from archsearch.statistics.intervals import MeanInterval


@click.command("compare", epilog="Example: archsearch compare resnet-space:0 resnet-space:1")
@click.argument("given", nargs=-1, required=True, metavar="STUDY[:TRIAL]...", shell_complete=complete_studies)
@runs_folder_option
@json_option()
def command(given: tuple[str, ...], runs_folder: Path, as_json: bool) -> None:
    """Put studies or trials side by side: the settings that differ, performance, and cost.

    A study stands for the trial that its answer would name. Errors are means over seeds with their 95 %
    intervals; where there are two seeds or more, each is tested against the first (Welch's t, corrected
    for their number).
    """
    if len(given) < 2:
        raise click.UsageError("Give two studies or trials, or more.", click.get_current_context())
    from archsearch.application.comparing import compare

    compared = compare(given, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(compared.to_mapping()))
    else:
        _print(compared)


def _print(compared: SideBySide) -> None:
    from archsearch.cli.printing import print_paragraph, print_table

    labels = [subject.label for subject in compared.subjects]
    if compared.differing:
        rows = [
            [name, *("" if value is None else value for value in values)]
            for name, values in compared.differing.items()
        ]
        print_table(["setting", *labels], rows, title="What differs")
    else:
        click.echo("No setting differs.")
    click.echo()
    print_table(["", *labels], _performance(compared.subjects), title="Performance and cost")
    for sentence in (*(test.sentence for test in compared.tests), *compared.notes):
        click.echo()
        print_paragraph(sentence)


def _performance(subjects: tuple[Subject, ...]) -> list[list[str]]:
    from archsearch.cli.measures import name_measure

    rows = [
        ["trial", *(f"{subject.trial.number}, {subject.trial.name}" for subject in subjects)],
        ["seeds", *(str(_count_seeds(subject)) for subject in subjects)],
    ]
    for name in dict.fromkeys(name for subject in subjects for name in subject.errors):
        found = [subject.errors.get(name) for subject in subjects]
        rows.append([name_measure(name), *(_interval(one) for one in found)])
    for name, (shown, unit) in _COSTS.items():
        if any(name in subject.costs for subject in subjects):
            costs = [subject.costs.get(name) for subject in subjects]
            rows.append([shown, *("" if cost is None else _number(cost) + unit for cost in costs)])
    return rows


_COSTS = {
    "parameters": ("parameters", ""),
    "macs": ("MACs", ""),
    "activation_mib": ("activations", " MiB"),
    "latency_ms": ("an image", " ms"),
    "train_time_s": ("training", " s"),
}


def _count_seeds(subject: Subject) -> int:
    return max((interval.count for interval in subject.errors.values()), default=0)


def _interval(found: MeanInterval | None) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.mean:.2%}"
    # A t interval knows nothing of the ends of the scale.
    low, high = max(0.0, found.low), min(1.0, found.high)
    return f"{found.mean:.2%} ({low:.2%} to {high:.2%})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
