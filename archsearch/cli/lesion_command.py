"""`archsearch lesion`."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument

if TYPE_CHECKING:
    from archsearch.analysis.lesion import LesionedNetwork


@click.command("lesion", epilog="Example: archsearch lesion degradation --images 200")
@study_argument
@click.option(
    "--trial",
    "trials",
    type=click.IntRange(min=0),
    multiple=True,
    help="Number of a trial; may be given again. Else the deepest network of each depth curve.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Random draws of blocks, and of paths.",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Pairs of blocks removed, at most.",
)
@click.option(
    "--images", type=click.IntRange(min=0), default=0, help="Validation images; 0, the default, takes all."
)
@runs_folder_option
@json_option()
def command(
    study: str, trials: tuple[int, ...], draws: int, pairs: int, images: int, runs_folder: Path, as_json: bool
) -> None:
    """Remove, exchange and repeat blocks of trained networks, and measure the damage.

    Writes a picture (PNG) and a table (CSV) into the study's run folder.
    """
    from archsearch.application.probing import lesion_study
    from archsearch.cli.printing import print_table

    report = lesion_study(
        study, trials=trials, draws=draws, pairs=pairs, images=images, runs_folder=runs_folder
    )
    if as_json:
        click.echo(json.dumps(report.to_mapping()))
        return
    header = [
        "network",
        "error",
        "chance",
        "one removed",
        "two removed",
        "half removed",
        "exchanged",
        "repeated",
    ]
    print_table(
        header,
        [_row(network) for network in report.networks],
        title=f"Lesions of {report.study}: median validation error",
    )
    click.echo(f"\nPicture: {report.picture}\nTable:   {report.table}")


def _row(network: LesionedNetwork) -> list[str]:
    study = network.study
    counts = sorted({len(lesion.blocks) for lesion in study.of("random")})
    half = counts[len(counts) // 2] if counts else 0
    errors = [
        [lesion.error for lesion in study.of("remove")],
        [lesion.error for lesion in study.of("pair")],
        [lesion.error for lesion in study.of("random") if len(lesion.blocks) == half],
        [lesion.error for lesion in study.of("exchange")],
        [lesion.error for lesion in study.of("repeat")],
    ]
    shown = [f"{statistics.median(found):.2%}" if found else "" for found in errors]
    return [network.label, f"{study.error:.2%}", f"{network.chance_error:.2%}", *shown]
