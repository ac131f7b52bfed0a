"""Tables for people; numbers stand at the right."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

_NUMBER = re.compile(r"[-+]?[\d,.]+( ?[A-Za-z%±/ \d.,]*)?")


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", err: bool = False
) -> None:
    """Print rows below a header, as wide as the terminal allows; plain when piped."""
    console = Console(stderr=err)
    if not console.is_terminal:
        # A pipe has no width: cut nothing.
        console.width = 200
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, name in enumerate(header):
        numbers = all(_NUMBER.fullmatch(row[position]) for row in rows if row[position])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
