"""`archsearch plan`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archsearch.cli.options import json_option
from archsearch.study import load_study

if TYPE_CHECKING:
    from archsearch.application.planning import PlannedNetwork

_SHOWN = 25


@click.command("plan", epilog="Example: archsearch plan search_spaces/degradation.yaml")
@click.argument("study", type=click.Path(path_type=Path), metavar="STUDY.yaml")
@click.option(
    "--predictors",
    "with_predictors",
    is_flag=True,
    help="Build each network and score it by predictors of its accuracy that need no training.",
)
@json_option()
def command(study: Path, with_predictors: bool, as_json: bool) -> None:
    """Show what a study would train and what that would cost, training nothing.

    A search is shown by all of its networks where there are few, else by a sample.
    """
    # Before the imports that take seconds: what is wrong with a study is said at once.
    config = load_study(study)
    from archsearch.application.planning import plan_study, say_duration
    from archsearch.cli.printing import print_table

    plan = plan_study(config, with_predictors=with_predictors)
    if as_json:
        click.echo(json.dumps(plan.to_mapping()))
        return
    shown = _spread(plan.networks)
    asked_for = any(network.requested_depth for network in shown)
    header = ["network", "depth", *(["asked for"] if asked_for else []), "parameters", "MACs"]
    header += ["training memory", "one training"]
    scores = list(shown[0].predictors) if shown else []
    header += scores
    rows = [
        [
            network.name,
            str(network.depth),
            *([str(network.requested_depth or "")] if asked_for else []),
            f"{network.parameters:,}",
            f"{network.macs:,}",
            f"{network.memory_mib:,.0f} MiB",
            say_duration(network.hours),
            *(_score(network.predictors[name]) for name in scores),
        ]
        for network in shown
    ]
    print_table(header, rows, title=f"{plan.study}: {plan.heading}")
    if len(shown) < len(plan.networks):
        click.echo(
            f"{len(shown)} of {len(plan.networks)} networks, from cheapest to dearest; --json has all."
        )
    for line in plan.remarks:
        click.echo(line)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _spread(networks: Sequence[PlannedNetwork]) -> Sequence[PlannedNetwork]:
    """As many as a screen holds, evenly from first to last."""
    if len(networks) <= _SHOWN:
        return networks
    return [networks[round(place * (len(networks) - 1) / (_SHOWN - 1))] for place in range(_SHOWN)]
