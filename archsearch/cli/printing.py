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
    # What stands in brackets is a value of somebody's, and no colour.
    console = Console(stderr=err, markup=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no width: cut nothing.
        console.width = 200
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if console.is_terminal and _natural_width(header, rows) > console.width:
        header = [name.replace(" ", "\n") for name in header]
    for position, name in enumerate(header):
        numbers = all(_NUMBER.fullmatch(row[position]) for row in rows if row[position])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _natural_width(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True))
