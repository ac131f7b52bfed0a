"""`archsearch export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument

_FORMATS = ("safetensors", "python", "onnx", "pt2")


def _split(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in _FORMATS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_FORMATS)}.", param=parameter)
    return tuple(name for name in names if name != "safetensors")


@click.command("export", epilog="Example: archsearch export resnet-space --output exported/resnet-space")
@study_argument
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--trial", type=int, help="Number of the trial; the best one where nothing is chosen.")
@click.option("--best", metavar="METRIC", help="The trial that is best in this measure: val_error, macs, …")
@click.option("--pareto", is_flag=True, help="All trials that none beats in everything, a folder each.")
@click.option("--depth", type=int, help="The best trial of this depth.")
@click.option(
    "--formats",
    callback=_split,
    metavar="LIST",
    help="Of safetensors, python, onnx, pt2, by commas; all that can be written, where not given.",
)
@click.option(
    "--retrain", is_flag=True, help="Train it afresh under fresh seeds, and say what its choice promised."
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Of --retrain; those of the study where not given."
)
@click.option("--seeds", type=click.IntRange(min=1), help="Of --retrain: how many; 3 where not given.")
@click.option(
    "--data",
    type=click.Choice(["train", "train+val"]),
    help="Of --retrain: images to train on; train+val where not given.",
)
@click.option("--register", metavar="NAME", help="Put it into MLflow's model registry under this name, too.")
@runs_folder_option
@json_option()
def command(
    study: str,
    output: Path,
    trial: int | None,
    best: str | None,
    pareto: bool,
    depth: int | None,
    formats: tuple[str, ...] | None,
    register: str | None,
    runs_folder: Path,
    as_json: bool,
    **retraining: Any,
) -> None:
    """Write a trained network as a folder that needs nothing of archsearch.

    It holds weights, source, ONNX, torch.export, metrics and a model card; every file is compared with the
    trained network before the folder appears. An earlier export in the same place is replaced. In Python,
    archsearch.load(FOLDER) gives the network back.
    """
    if sum((trial is not None, best is not None, pareto, depth is not None)) > 1:
        raise click.UsageError(
            "Give one of --trial, --best, --pareto and --depth.", click.get_current_context()
        )
    if register and formats is not None and "onnx" not in formats:
        raise click.UsageError("--register needs onnx among --formats.", click.get_current_context())
    wanted = retraining.pop("retrain")
    given = {name: value for name, value in retraining.items() if value is not None}
    if given and not wanted:
        raise click.UsageError(f"--{next(iter(given))} goes with --retrain.", click.get_current_context())
    from archsearch.application.choosing import Choice
    from archsearch.application.exporting import export_study
    from archsearch.application.registering import register_exports
    from archsearch.application.retraining import Retraining

    exported = export_study(
        study,
        output,
        choice=Choice(trial, best, pareto, depth),
        formats=formats,
        retraining=Retraining(**given) if wanted else None,
        runs_folder=runs_folder,
        say=lambda sentence: click.echo(sentence, err=True),
    )
    versions = register_exports(study, exported, register, runs_folder=runs_folder) if register else []
    if as_json:
        rows = [
            {"trial": one.trial.number, "output": str(one.folder), "formats": one.network.formats}
            for one in exported
        ]
        answer = {
            "study": study,
            **rows[0],
            "networks": rows,
            "registered": [version.to_mapping() for version in versions],
        }
        click.echo(json.dumps(answer))
        return
    for one in exported:
        click.echo(f"Exported trial {one.trial.number} ({one.trial.name}) to {one.folder}")
        for note in one.notes:
            click.echo(f"  {note}.")
    for version in versions:
        click.echo(
            f"Registered {version.name}, version {version.number}: "
            f"mlflow models serve --env-manager local --model-uri {version.uri}"
        )
