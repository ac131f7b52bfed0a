"""`archsearch schema`."""

from __future__ import annotations

import json

import click

from archsearch.study import study_schema


@click.command("schema", epilog="Example: archsearch schema > study.schema.json")
def command() -> None:
    """Print the JSON Schema of the study file, for editors."""
    click.echo(json.dumps(study_schema(), indent=2, ensure_ascii=False))
