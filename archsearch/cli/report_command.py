"""`archsearch report`."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

import click

from archsearch.cli.options import json_option, runs_folder_option


@click.command("report", epilog="Example: archsearch report degradation")
@click.argument("study", metavar="STUDY")
@runs_folder_option
@json_option()
def command(study: str, runs_folder: Path, as_json: bool) -> None:
    """Say what a study's depth curves show; write a page (HTML), pictures and a table."""
    from archsearch.application.reporting import report_study
    from archsearch.cli.printing import print_table

    report = report_study(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(report.to_mapping()))
        return
    rows = [
        [
            curve.label,
            str(point.depth),
            f"{point.parameters:,}",
            *(_error(point.errors.get(measure)) for measure in ("train_error", "val_error", "test_error")),
            str(max(map(len, point.errors.values()), default=0)),
        ]
        for curve in report.curves
        for point in curve.points
    ]
    header = ["curve", "depth", "parameters", "training error", "validation error", "test error", "seeds"]
    print_table(header, rows, title=f"Depth curves of {report.study}")
    for verdict in report.verdicts:
        click.echo(f"\n{verdict.sentence}")
        if verdict.deciding:
            click.echo(f"  {verdict.deciding}")
        for warning in verdict.warnings:
            click.echo(f"  Note: {warning}")
        if verdict.deciding_study:
            click.echo(f"\n{indent(verdict.deciding_study.rstrip(), '    ')}")
    if report.recommendation:
        click.echo(f"\n{report.recommendation.sentence}")
    click.echo(f"\nReport:  {report.page}\nPicture: {report.picture}\nTable:   {report.table}")


def _error(errors: tuple[float, ...] | None) -> str:
    from archsearch.statistics.descriptive import mean_and_std

    if errors is None:
        return ""
    mean, std = mean_and_std(errors)
    return f"{mean:.2%}" if std is None else f"{mean:.2%} ± {std:.2%}"
