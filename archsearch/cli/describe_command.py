"""`archsearch describe`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option

if TYPE_CHECKING:
    from archsearch.application.describing import Description


@click.command(
    "describe",
    epilog="Example: archsearch describe resnet152 vgg19",
)
@click.argument("networks", nargs=-1, required=True, metavar="NAME|FILE...")
@click.option(
    "--input", "shape", metavar="CxHxW", help="Input shape, such as 3x32x32; else the layout's usual one."
)
@click.option("--classes", type=click.IntRange(min=2), help="Number of classes; else the layout's usual one.")
@json_option("Print a list of objects.")
def command(networks: tuple[str, ...], shape: str | None, classes: int | None, as_json: bool) -> None:
    """Print depth, parameters, MACs and activation memory of networks, side by side.

    A network is a published name (resnet110, densenet-bc-100-12, ...) or a YAML file with an `architecture:`
    mapping.
    """
    from archsearch.application.describing import describe
    from archsearch.cli.printing import print_table

    described = [describe(network, shape, classes) for network in networks]
    if as_json:
        click.echo(json.dumps([description.to_mapping() for description in described], indent=2))
    else:
        print_table(
            ["network", "depth", "parameters", "MACs", "activations", "input", "classes"],
            [_row(description) for description in described],
        )


def _row(description: Description) -> list[str]:
    cost = description.cost
    return [
        description.name,
        str(description.architecture.depth),
        f"{cost.parameters:,}",
        f"{cost.macs:,}",
        f"{cost.activation_mib:,.1f} MiB",
        "x".join(map(str, description.input_shape)),
        str(description.classes),
    ]
