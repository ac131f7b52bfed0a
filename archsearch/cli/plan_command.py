"""`archsearch plan`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archsearch.cli.options import json_option


@click.command("plan", epilog="Example: archsearch plan search_spaces/degradation.yaml")
@click.argument("study", type=click.Path(path_type=Path), metavar="STUDY.yaml")
@json_option()
def command(study: Path, as_json: bool) -> None:
    """Show what a study would train and what that would cost, training nothing.

    A search is shown by all of its networks where there are few, else by a sample.
    """
    from archsearch.application.planning import plan_study
    from archsearch.cli.printing import print_table

    plan = plan_study(study)
    if as_json:
        click.echo(json.dumps(plan.to_mapping()))
        return
    header = ["network", "depth", "asked for", "parameters", "MACs", "training memory", "hours a replicate"]
    rows = [
        [
            network.name,
            str(network.depth),
            str(network.requested_depth or ""),
            f"{network.parameters:,}",
            f"{network.macs:,}",
            f"{network.memory_mib:,.0f} MiB",
            f"{network.hours:.4f}",
        ]
        for network in plan.networks
    ]
    print_table(header, rows, title=f"{plan.study}: {plan.heading}")
    for line in plan.remarks:
        click.echo(line)
