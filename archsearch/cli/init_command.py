"""`archsearch init`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from archsearch.cli.options import json_option


@click.command("init", epilog="Example: archsearch init studies")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[FOLDER]", default=Path("search_spaces"))
@json_option()
def command(folder: Path, as_json: bool) -> None:
    """Write the ready-made studies into a folder (search_spaces, where none is given), to run or to change.

    Beside them stands the JSON Schema with which editors complete and check them. What is there already is
    never overwritten.
    """
    from archsearch.application.initializing import QUICKSTART, write_studies
    from archsearch.cli.printing import print_table

    questions = write_studies(folder)
    if as_json:
        studies = [{"file": str(path), "question": question} for path, question in questions.items()]
        click.echo(json.dumps({"folder": str(folder), "studies": studies}))
        return
    print_table(["file", "question"], [[str(path), question] for path, question in questions.items()])
    quickstart = shlex.quote(str(folder / QUICKSTART))
    click.echo("\nThe quickstart, about two minutes on two cores:")
    click.echo(f"  archsearch plan {quickstart}   (what it would train)")
    click.echo(f"  archsearch run {quickstart}")
