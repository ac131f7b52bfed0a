"""Tables, fields and paragraphs for people; numbers stand at the right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_NUMBER = re.compile(r"[-+]?[\d,.]+( ?[A-Za-z%±/ \d.,]*)?")


def build_console(*, err: bool = False) -> Console:
    """A console that takes text as it is: what stands in brackets is a value of somebody's, and no colour."""
    return Console(stderr=err, markup=False, emoji=False, highlight=False)


def print_paragraph(text: str | Text, *, err: bool = False) -> None:
    """Print text, in lines that fit the terminal; in one line where it is piped."""
    console = build_console(err=err)
    console.print(text, soft_wrap=not console.is_terminal)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", err: bool = False
) -> None:
    """Print rows below a header, as wide as the terminal allows; plain and in full width when piped."""
    console = build_console(err=err)
    natural_width = _natural_width(header, rows)
    if not console.is_terminal:
        # A pipe has no width: cut nothing.
        console.width = max(200, natural_width)
    if title:
        console.print(Text(title, "table.title"), soft_wrap=not console.is_terminal)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if console.is_terminal and natural_width > console.width:
        header = [name.replace(" ", "\n") for name in header]
    for position, name in enumerate(header):
        numbers = all(_NUMBER.fullmatch(row[position]) for row in rows if row[position])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        console.print(line.rstrip(), soft_wrap=True, markup=False, highlight=False)


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values, a line each; what does not fit its line goes on below its beginning."""
    console = build_console()
    widest = max(map(len, fields), default=0)
    for name, value in fields.items():
        head = f"{name:<{widest}}  "
        if console.is_terminal:
            lines = Text(value).wrap(console, max(20, console.width - len(head)))
            value = f"\n{'':{len(head)}}".join(line.plain.rstrip() for line in lines)
        console.print(f"{head}{value}".rstrip(), soft_wrap=True)


def print_grid(title: str, fields: Mapping[str, str]) -> None:
    """Print many names and short values below a title, in columns that fit the terminal; else a line each."""
    console = build_console()
    console.print(f"\n{title}")
    items = [f"{name}: {value}" for name, value in fields.items()]
    if console.is_terminal:
        console.print(Padding(Columns(items, equal=True, padding=(0, 3)), (0, 0, 0, 2)))
    else:
        for item in items:
            console.print(f"  {item}", soft_wrap=True)


def _natural_width(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True))
