"""`archsearch sync`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument


@click.command("sync", epilog="Example: archsearch sync resnet-space --uri sqlite:///mlflow.db")
@study_argument
@click.option("--uri", default="", help="MLflow tracking URI; as in the study where not given.")
@runs_folder_option
@json_option()
def command(study: str, uri: str, runs_folder: Path, as_json: bool) -> None:
    """Bring all that is made from a study's journal up to it; a second time changes nothing.

    That is the report, MLflow, and the copy in an Optuna storage where the study names one. While a run works
    on the study, it is MLflow alone.

    A run folder keeps no passwords: of a study with some in its addresses give the file.
    """
    from archsearch.application.syncing import sync_study

    synced = sync_study(study, uri=uri, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(synced.to_mapping()))
        return
    mlflow = synced.mlflow
    click.echo(f"MLflow holds {mlflow.runs} runs of {study} (experiment {mlflow.experiment_id}).")
    if synced.optuna_trials is not None:
        click.echo(f"Optuna's storage holds {synced.optuna_trials} trials of it.")
    if synced.report:
        click.echo(f"Report: {synced.report.page}")
