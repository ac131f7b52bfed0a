"""`archsearch identity`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from archsearch.cli.options import json_option


@click.command(
    "identity", epilog="Example: archsearch identity --block plain --block residual --blocks 1 --blocks 3"
)
@click.option(
    "--block",
    "kinds",
    multiple=True,
    default=("plain", "residual"),
    show_default=True,
    help="Kind of block; may be given again.",
)
@click.option(
    "--blocks",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 3, 9),
    show_default=True,
    help="Blocks in the stack; may be given again.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Stacks of each kind."
)
@click.option(
    "--steps", type=click.IntRange(min=20), default=300, show_default=True, help="Steps of training."
)
@click.option(
    "--std",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    help="Standard deviation of the weights at the beginning; their mean is 0.",
)
@click.option("--norm", default="none", show_default=True, help="batch, group, layer or none.")
@json_option("Print a list of objects.")
def command(
    kinds: tuple[str, ...],
    counts: tuple[int, ...],
    seeds: int,
    steps: int,
    std: float,
    norm: str,
    as_json: bool,
) -> None:
    """Train stacks of blocks to copy their input, and measure how near they come.

    The error is the mean square of output - input, over that of the input: 0 is the identity, 1 is as good as
    giving zeros. The learning rate is the best of three.
    """
    from archsearch.analysis.identity import try_identity
    from archsearch.cli.printing import print_table
    from archsearch.statistics.descriptive import mean_and_std

    found = [
        [try_identity(kind, count, seed=seed, steps=steps, std=std, norm=norm) for seed in range(seeds)]
        for kind in kinds
        for count in counts
    ]
    if as_json:
        click.echo(json.dumps([asdict(test) for tests in found for test in tests]))
        return
    rows = []
    for tests in found:
        mean, spread = mean_and_std([test.error for test in tests])
        start, _ = mean_and_std([test.start_error for test in tests])
        said = f"{mean:.4f}" if spread is None else f"{mean:.4f} ± {spread:.4f}"
        rows.append([tests[0].block, str(tests[0].blocks), f"{start:.3f}", said])
    print_table(
        ["block", "blocks", "error before", "error after training"], rows, title="Learning the identity"
    )
