"""`archsearch verify`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from archsearch.cli.options import json_option


@click.command("verify", epilog="Example: archsearch verify exported/resnet-space")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option()
def command(folder: Path, as_json: bool) -> None:
    """Check an exported folder: its checksums, and what its files compute.

    Nothing in it is executed: model.py is compared with what archsearch writes, and a model.pt2 that asks for
    pickle or code is refused before it is opened.
    """
    from archsearch.export import verify_export

    found = verify_export(folder)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **asdict(found)}))
        return
    click.echo(f"{folder}: {len(found.files)} files are as they were exported.")
    for name, difference in found.differences.items():
        click.echo(f"  {name}: logits differ by {difference:.2g} of the largest")
    for note in found.notes:
        click.echo(f"  {note}.")
