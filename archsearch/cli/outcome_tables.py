"""What `archsearch run` prints at its end."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from archsearch.application.reporting import Report
from archsearch.application.running import Outcome
from archsearch.cli.curve_tables import print_sparklines, print_verdicts
from archsearch.cli.leaderboard import print_leaderboards


def print_outcome(outcome: Outcome, report: Report | None) -> None:
    """Print the best trials, what became of all, where it stands and what to do next, and what it shows."""
    print_leaderboards(outcome.history, outcome.study.objectives)
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
    if report:
        print_sparklines(report.curves)
        print_verdicts(report.verdicts)
