"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

runs_folder_option = click.option(
    "--runs-dir",
    "runs_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds a run folder for each study.",
)


def complete_studies(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of studies that were run, for the shell; files where there is none."""
    from archsearch.journal import RunFolder

    names = RunFolder.names(ctx.params.get("runs_folder") or "runs")
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


study_argument = click.argument("study", metavar="STUDY", shell_complete=complete_studies)


def json_option(help_text: str = "Print the answer as JSON.") -> Callable[[F], F]:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)
