"""`archsearch doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from archsearch.cli.options import complete_studies, json_option, runs_folder_option


@click.command("doctor", epilog="Example: archsearch doctor degradation")
@click.argument("study", metavar="[STUDY]", required=False, shell_complete=complete_studies)
@runs_folder_option
@json_option()
def command(study: str | None, runs_folder: Path, as_json: bool) -> None:
    """Say what machine this is, what is broken, and how to mend it.

    With a STUDY (a name, a run folder or a YAML file) it looks at its journal, data and services, too. The
    exit code is 1 where something is broken.
    """
    from archsearch.application.doctor import examine_machine
    from archsearch.cli.printing import print_table

    diagnosis = examine_machine(study, runs_folder=runs_folder)
    if as_json:
        click.echo(json.dumps(diagnosis.to_mapping()))
    else:
        print_table(["check", "", "found"], [[c.name, c.state, c.found] for c in diagnosis.checks])
        for check in diagnosis.checks:
            if check.mend:
                click.echo(f"\n{check.name}: {check.mend}")
    if diagnosis.broken:
        sys.exit(1)
