"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

runs_folder_option = click.option(
    "--runs-dir",
    "runs_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds a run folder for each study.",
)


def json_option(help_text: str = "Print the answer as JSON.") -> Callable[[F], F]:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)
