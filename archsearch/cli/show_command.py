"""`archsearch show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument

if TYPE_CHECKING:
    from archsearch.application.showing import StudyView

_SHOWN_CELLS = 25


@click.command("show", epilog="Example: archsearch show resnet-space --trial 0")
@study_argument
@click.option("--trial", type=click.IntRange(min=0), help="Number of a trial, to show that alone.")
@runs_folder_option
@json_option()
def command(study: str, trial: int | None, runs_folder: Path, as_json: bool) -> None:
    """Show a study: its question, cells, depth curves, best trials and verdicts; or all about one trial.

    A study may be shown while it runs.
    """
    if trial is not None:
        from archsearch.application.trial_view import show_trial
        from archsearch.cli.trial_tables import print_trial

        trial_view = show_trial(study, trial, runs_folder=runs_folder)
        if as_json:
            click.echo(json.dumps(trial_view.to_mapping()))
        else:
            print_trial(trial_view)
        return
    from archsearch.application.showing import show_study

    view = show_study(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(view.to_mapping()))
    else:
        _print_study(view)


def _print_study(view: StudyView) -> None:
    from archsearch.cli.curve_tables import print_sparklines, print_verdicts
    from archsearch.cli.leaderboard import print_leaderboards
    from archsearch.cli.printing import print_fields, print_paragraph

    print_paragraph(f"{view.glance.name}, {view.glance.state}: {view.glance.why}")
    if view.question:
        print_paragraph(view.question)
    click.echo()
    print_fields(view.settings)
    _print_cells(view)
    print_leaderboards(view.history, view.glance.objectives)
    print_sparklines(view.curves)
    print_verdicts(view.verdicts)
    if view.recommendation:
        click.echo()
        print_paragraph(view.recommendation.sentence)


def _print_cells(view: StudyView) -> None:
    from archsearch.cli.measures import name_measure, show_measure
    from archsearch.cli.printing import print_table

    if not view.cells:
        return
    objective = next(iter(view.glance.objectives))
    rows = [
        [
            cell.label,
            ", ".join(f"{count} {outcome}" for outcome, count in sorted(cell.outcomes.items())) or "none yet",
            str(cell.best.number) if cell.best else "",
            show_measure(objective, cell.best.objective_values[0])
            if cell.best and cell.best.objective_values
            else "",
        ]
        for cell in view.cells[:_SHOWN_CELLS]
    ]
    click.echo()
    print_table(["cell", "trials", "best trial", name_measure(objective)], rows)
    if len(rows) < len(view.cells):
        click.echo(f"{len(rows)} of {len(view.cells)} cells; --json has all.")
