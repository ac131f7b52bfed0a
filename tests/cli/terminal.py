"""A small terminal: what a person sees of what a program writes."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+", re.DOTALL)


class Terminal(io.StringIO):
    """Understands what progress displays need: lines, wrapping, moving up, erasing, colours (left out).

    Attributes:
        lines: From the first line ever written to the last.
        row: Where the cursor is.
        column: Where in the line.
        hidden: Whether the cursor is.
    """

    encoding = "utf-8"  # type: ignore[assignment]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.lines = [""]
        self.row = self.column = 0
        self.hidden = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for token in _TOKEN.finditer(text):
            if token[2]:
                self._control(token[1], token[2])
            elif token[0] == "\r":
                self.column = 0
            elif token[0] == "\n":
                self._go_down()
            else:
                for character in token[0]:
                    self._put(character)
        return len(text)

    def resize(self, width: int) -> None:
        """Make it narrower, and wrap what is too long, as terminals do."""
        assert width <= self.width
        self.width, lines, row = width, [], 0
        for index, line in enumerate(self.lines):
            if index == self.row:
                row = len(lines) + max(0, self.column - 1) // width
            lines += [line[start : start + width] for start in range(0, len(line), width)] or [""]
        self.lines, self.row, self.column = lines, row, self.column % width

    @property
    def shown(self) -> list[str]:
        """The lines, without blanks at their ends and empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n").split("\n")

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self._go_down()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1

    def _go_down(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append("")

    def _control(self, arguments: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif letter == "K":
            assert arguments == "2"
            self.lines[self.row] = ""
        elif letter in "hl" and arguments == "?25":
            self.hidden = letter == "l"
        else:
            assert letter == "m", f"unknown: {arguments}{letter}"
