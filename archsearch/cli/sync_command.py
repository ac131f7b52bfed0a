"""`archsearch sync`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument


@click.command("sync", epilog="Example: archsearch sync resnet-space --uri sqlite:///mlflow.db")
@study_argument
@click.option("--uri", default="", help="MLflow tracking URI; as in the study where not given.")
@runs_folder_option
@json_option()
def command(study: str, uri: str, runs_folder: Path, as_json: bool) -> None:
    """Bring MLflow up to what a study's journal says; a second time changes nothing."""
    from archsearch.application.serving import sync_study

    status = sync_study(study, uri=uri, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(asdict(status)))
    else:
        click.echo(f"MLflow holds {status.runs} runs of {study} (experiment {status.experiment_id}).")
