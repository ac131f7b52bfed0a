"""Values as notebooks show them: small pieces of HTML, in which nothing of anybody's comes alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_LEFT = 'style="text-align: left"'


def write_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[object]], *, below: Sequence[str] = ()
) -> str:
    """A table below a title, and lines below the table."""
    head = "".join(f"<th {_LEFT}>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    lines = "".join(f"<p>{escape(line)}</p>" for line in below)
    return f"<p><b>{escape(title)}</b></p><table><tr>{head}</tr>{body}</table>{lines}"


def write_fields(title: str, text: str, fields: Mapping[str, str]) -> str:
    """Names and values below a title and a paragraph."""
    rows = "".join(
        f"<tr><th {_LEFT}>{escape(name)}</th>{_cell(value)}</tr>" for name, value in fields.items()
    )
    return f"<p><b>{escape(title)}</b></p><p>{escape(text)}</p><table>{rows}</table>"


def _cell(value: object) -> str:
    return f"<td {_LEFT}>{escape(str(value))}</td>"
