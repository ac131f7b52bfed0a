"""`archsearch report`."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument


@click.command("report", epilog="Example: archsearch report degradation")
@study_argument
@runs_folder_option
@json_option()
def command(study: str, runs_folder: Path, as_json: bool) -> None:
    """Say what a study's depth curves show; write a page (HTML), pictures and a table."""
    from archsearch.application.reporting import report_study
    from archsearch.cli.curve_tables import print_points
    from archsearch.cli.printing import print_paragraph

    report = report_study(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(report.to_mapping()))
        return
    print_points(report.curves, title=f"Depth curves of {report.study}")
    for verdict in report.verdicts:
        click.echo()
        print_paragraph(verdict.sentence)
        if verdict.deciding:
            click.echo(f"  {verdict.deciding}")
        for warning in verdict.warnings:
            click.echo(f"  Note: {warning}")
        if verdict.deciding_study:
            click.echo(f"\n{indent(verdict.deciding_study.rstrip(), '    ')}")
    if report.recommendation:
        click.echo()
        print_paragraph(report.recommendation.sentence)
    click.echo(f"\nReport:  {report.page}\nPicture: {report.picture}\nTable:   {report.table}")
