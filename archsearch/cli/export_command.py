"""`archsearch export`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archsearch.cli.options import json_option, runs_folder_option


@click.command("export", epilog="Example: archsearch export resnet-space --output exported/resnet-space")
@click.argument("study", metavar="STUDY")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--trial", type=int, help="Number of the trial; the best one where not given.")
@runs_folder_option
@json_option()
def command(study: str, output: Path, trial: int | None, runs_folder: Path, as_json: bool) -> None:
    """Write a trained network as a folder: architecture, weights, metrics, model card.

    An earlier export in the same place is replaced. In Python, archsearch.load(FOLDER) gives the network
    back.
    """
    from archsearch.application.exporting import export_trial

    exported = export_trial(study, output, trial=trial, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps({"study": study, "trial": exported.number, "output": str(output)}))
    else:
        click.echo(f"Exported trial {exported.number} ({exported.name}) to {output}")
