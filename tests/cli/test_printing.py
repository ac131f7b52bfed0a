"""Tables show values as they are; a terminal's width is kept, a pipe has none."""

from __future__ import annotations

import sys

import pytest
from rich.text import Text

from archsearch.cli.printing import print_fields, print_grid, print_paragraph, print_table
from tests.cli.terminal import Terminal

LONG = "as many words as no terminal shows in a line of its own " * 6


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> Terminal:
    terminal = Terminal(width)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    return terminal


def test_what_stands_in_brackets_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["data.root=[/tmp]", "[bold red]x[/]", "[link=file:///etc/passwd]y", ":smile:"]

    print_table(["[b]header[/b]"], [[cell] for cell in cells], title="[/]")
    print_grid("[b]", {"[i]": ":smile:"})
    print_fields({"[i]": "[bold]x[/]"})

    out = capsys.readouterr().out
    assert all(cell in out for cell in [*cells, "[b]header[/b]", "[/]", "[i]: :smile:", "[i]  [bold]x[/]"])


def test_lines_of_a_table_end_in_a_pipe_where_their_words_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["check", "found"], [["one", "[bold]"], ["other", "x" * 300]])
    assert capsys.readouterr().out == f"check  found\none    [bold]\nother  {'x' * 300}\n"


def test_nothing_is_cut_nor_wrapped_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [[LONG, "1"]], title=LONG)
    print_paragraph(LONG)
    print_fields({"name": LONG})
    print_grid("title", {"name": LONG})

    out = capsys.readouterr().out
    assert out.count(LONG.strip()) == 5
    assert "\x1b" not in out


@pytest.mark.parametrize("width", [40, 80, 160])
def test_lines_fit_the_terminal_and_break_between_words(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, width)

    print_paragraph(LONG)
    print_fields({"name": LONG, "a longer name": "value"})
    print_grid("title", {f"name {index}": "value" for index in range(30)})

    assert max(map(len, terminal.shown)) <= width
    assert {word for line in terminal.shown for word in line.split()} <= {
        *LONG.split(),
        *["name", "a", "longer", "value", "title"],
        *(f"{index}:" for index in range(30)),
    }
    # What goes on stands below where it began.
    (first, second) = [line for line in terminal.shown if line.startswith(("name   ", " " * 15))][:2]
    assert first.index("as many") == len(second) - len(second.lstrip()) == 15


def test_a_title_is_as_wide_as_the_terminal_whatever_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, 80)

    print_table(["a"], [["1"]], title="A title that is longer than the table below it")

    assert terminal.shown[0] == "A title that is longer than the table below it"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, 80)
    written: list[str] = []
    monkeypatch.setattr(terminal, "write", lambda text: written.append(text) or len(text))
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_paragraph(Text("red", "red"))
    assert "\x1b[31mred" in "".join(written), "there is a colour to leave out"

    written.clear()
    monkeypatch.setenv("NO_COLOR", "1")
    print_paragraph(Text("red", "red"))

    assert "\x1b[31m" not in "".join(written)
    assert "red" in "".join(written)
