"""`archsearch list`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option, runs_folder_option

if TYPE_CHECKING:
    from archsearch.application.studies import Glance


@click.command("list", epilog="Example: archsearch list --runs-dir runs")
@runs_folder_option
@json_option("Print a list of objects.")
def command(runs_folder: Path, as_json: bool) -> None:
    """List all studies that were run: what they are doing, what their trials came to, the best of each.

    The one that was heard of last comes first.
    """
    from archsearch.application.studies import list_studies
    from archsearch.cli.printing import print_paragraph, print_table

    glances = list_studies(runs_folder)
    if as_json:
        click.echo(json.dumps([glance.to_mapping() for glance in glances]))
        return
    if not glances:
        click.echo(f"No study was run in {runs_folder} yet.")
        return
    header = ["study", "state", "trials", "best", "network", "began", "time spent", "disk"]
    print_table(header, [_row(glance) for glance in glances])
    for glance in glances:
        if glance.state != "finished":
            print_paragraph(f"\n{glance.name} {_SAID[glance.state]}: {glance.why}")


_SAID = {
    "running": "is running",
    "interrupted": "was interrupted",
    "unreadable": "cannot be read",
}


def _row(glance: Glance) -> list[str]:
    from archsearch.cli.measures import show_measure
    from archsearch.cli.progress_lines import say_clock

    best, value = glance.best, ""
    if best is not None and best.objective_values:
        name = next(iter(glance.objectives))
        value = show_measure(name, best.objective_values[0])
    return [
        glance.name,
        glance.state,
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(glance.trials.items())),
        value,
        best.name if best else "",
        f"{datetime.fromtimestamp(glance.began):%Y-%m-%d %H:%M}" if glance.began else "",
        say_clock(glance.hours * 3600) if glance.hours else "",
        f"{glance.disk_mib:,.1f} MiB",
    ]
