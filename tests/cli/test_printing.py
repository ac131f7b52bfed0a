"""Tables show values as they are."""

from __future__ import annotations

import pytest

from archsearch.cli.printing import print_table


def test_what_stands_in_brackets_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["data.root=[/tmp]", "[bold red]x[/]", "[link=file:///etc/passwd]y", ":smile:"]

    print_table(["[b]header[/b]"], [[cell] for cell in cells], title="[/]")

    out = capsys.readouterr().out
    assert all(cell in out for cell in [*cells, "[b]header[/b]", "[/]"])
