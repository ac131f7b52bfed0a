"""`archsearch predict`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archsearch.cli.options import json_option

_SHOWN = 3


@click.command("predict", epilog="Example: archsearch predict exported/resnet-space seven.png")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option()
def command(folder: Path, images: tuple[Path, ...], as_json: bool) -> None:
    """Classify image files with an exported network.

    Images are brought to the network's size and number of channels. Of the folder, architecture.yaml and
    model.safetensors alone are read.
    """
    from archsearch.application.loading import predict_files

    predictions = predict_files(folder, images)
    if as_json:
        rows = [{"file": p.file, "class": p.named, "probabilities": p.probabilities} for p in predictions]
        click.echo(json.dumps(rows))
        return
    for prediction in predictions:
        first = list(prediction.probabilities.items())[:_SHOWN]
        click.echo(f"{prediction.file}: " + ", ".join(f"{name} {share:.1%}" for name, share in first))
