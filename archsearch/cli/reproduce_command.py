"""`archsearch reproduce`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument

if TYPE_CHECKING:
    from archsearch.application.reproducing import ReproducedReplicate


@click.command("reproduce", epilog="Example: archsearch reproduce degradation --trial 0")
@study_argument
@click.option("--trial", type=click.IntRange(min=0), required=True, help="Number of the trial.")
@click.option("--seed", type=click.IntRange(min=0), help="One of its seeds; all where not given.")
@runs_folder_option
@json_option()
def command(study: str, trial: int, seed: int | None, runs_folder: Path, as_json: bool) -> None:
    """Train a trial of a study again, and compare it with what was recorded.

    With the settings, the arithmetic, the threads and the packing of the journal, which stays as it is. The
    exit code is 1 where the two differ by more than rounding.
    """
    from archsearch.application.reproducing import reproduce_trial

    reproduced = reproduce_trial(
        study, trial, seed=seed, runs_folder=runs_folder, say=lambda text: click.echo(text, err=True)
    )
    if as_json:
        rows = [item.to_mapping() for item in reproduced]
        click.echo(json.dumps({"study": study, "trial": trial, "replicates": rows}))
    else:
        for item in reproduced:
            click.echo(_describe(item))
    if any(item.found.verdict == "different" for item in reproduced):
        sys.exit(1)


def _describe(item: ReproducedReplicate) -> str:
    found = item.found
    lines = [f"Trial {item.trial}, seed {item.seed}: {found.verdict} ({found.compared} figures compared)."]
    if found.outcomes[0] != found.outcomes[1]:
        lines.append(f"Outcome: recorded {found.outcomes[0]}, again {found.outcomes[1]}.")
    if found.first is not None and found.largest is not None:
        lines.append(f"First difference: {found.first}.")
        lines.append(
            f"Largest difference: {found.largest} ({found.largest.size:.2g}; "
            f"up to {found.tolerance:g} counts as rounding)."
        )
    if not found.weights_kept:
        lines.append("Weights: none are kept of it.")
    elif found.weights is not None:
        equal = "the same, bit for bit" if found.weights == 0 else f"up to {found.weights:.2g} apart"
        lines.append(f"Weights: {equal}.")
    if item.packed:
        lines.append(f"Trained as one network with seeds {', '.join(map(str, item.packed))}, as then.")
    lines += [f"Not as then: {name} was {then}, is {now}." for name, (then, now) in item.changed.items()]
    return "\n  ".join(lines)
