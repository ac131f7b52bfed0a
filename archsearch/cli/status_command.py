"""`archsearch status`."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument

if TYPE_CHECKING:
    from rich.text import Text

    from archsearch.application.status import Status
    from archsearch.application.studies import Glance

# Where nothing is cut off.
_PIPE = (10_000, 100_000)


@click.command("status", epilog="Example: archsearch status resnet-space")
@study_argument
@runs_folder_option
@json_option()
def command(study: str, runs_folder: Path, as_json: bool) -> None:
    """Say how far a study is, what runs now, how long it will still take, and what is best so far.

    It reads the journal and changes nothing, so it can be called while the study runs. How long trainings
    take that have not begun is judged by those that have.
    """
    from archsearch.application.status import read_status
    from archsearch.cli.printing import print_paragraph

    status = read_status(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(status.to_mapping()))
        return
    for line in _draw(status):
        print_paragraph(line)
    print_paragraph(_say_state(status))


def _draw(status: Status) -> list[Text]:
    from rich.console import ConsoleDimensions
    from rich.text import Text

    from archsearch.cli.printing import build_console
    from archsearch.cli.progress_view import choose_marks, draw

    snapshot, study, glance = status.snapshot, status.study, status.glance
    if snapshot is None or study is None:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(glance.trials.items()))
        return [Text(f"{glance.name}  {counts}")]
    if glance.state != "running":
        # What was in training when it ended is none of what runs.
        forecast = replace(snapshot.forecast, seconds_left=None)
        snapshot = replace(snapshot, rows=(), forecast=forecast)
    console = build_console()
    elapsed_s = glance.hours * 3600
    if glance.state == "running" and glance.heard is not None:
        elapsed_s += max(0.0, time.time() - glance.heard)
    lines = draw(
        snapshot,
        status.history.trials,
        study,
        elapsed_s=elapsed_s,
        size=console.size if console.is_terminal else ConsoleDimensions(*_PIPE),
        marks=choose_marks(console),
    )
    # An empty one keeps the live view apart from what stands above it.
    return [line for line in lines if line.plain]


def _say_state(status: Status) -> str:
    from archsearch.cli.progress_lines import say_left

    glance = status.glance
    if glance.state == "running":
        return f"Running: {glance.why}{_say_silence(glance)}."
    if glance.state == "finished":
        return f"Finished: {glance.why}."
    said = f"Interrupted: {glance.why}. `archsearch run` goes on from there"
    left_s = status.snapshot.forecast.seconds_left if status.snapshot else None
    return f"{said}, with {say_left(left_s)}." if left_s is not None else f"{said}."


def _say_silence(glance: Glance) -> str:
    from archsearch.cli.progress_lines import say_clock

    return f", last heard of {say_clock(max(0.0, time.time() - glance.heard))} ago" if glance.heard else ""
