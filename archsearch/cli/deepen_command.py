"""`archsearch deepen`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from archsearch.cli.options import json_option, runs_folder_option, study_argument


@click.command("deepen", epilog="Example: archsearch deepen degradation")
@study_argument
@runs_folder_option
@json_option("Print a list of objects.")
def command(study: str, runs_folder: Path, as_json: bool) -> None:
    """Compare each network with the best shallower one of its curve, extended by blocks that copy.

    The extended network computes what the shallow one does, so its training error is what the deeper network
    should reach at least. What is missing is the failure of the optimisation.
    """
    from archsearch.application.probing import deepening_test
    from archsearch.cli.printing import print_table

    found = deepening_test(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps([{**asdict(test), "gap": test.gap} for test in found]))
        return
    header = ["curve", "network", "extended from", "bound", "trained to", "gap"]
    rows = [
        [
            test.curve,
            test.deep,
            test.shallow,
            f"{test.bound:.2%}",
            f"{test.trained:.2%}",
            f"{test.gap:+.2%}" if not test.why_not else f"{test.gap:+.2%} (not built)",
        ]
        for test in found
    ]
    print_table(
        header, rows, title="Training error: trained, and the bound by a shallower network with identities"
    )
    for reason in dict.fromkeys(test.why_not for test in found if test.why_not):
        click.echo(f"\nNot built: {reason}")
