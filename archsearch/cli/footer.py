"""Lines that stay at the bottom of a terminal while others are printed above them."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Sequence
from typing import Self, TextIO, cast

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text


class Footer:
    """Holds lines at the bottom of a terminal; a context manager that takes them away.

    What is written to standard output and standard error meanwhile is printed above them. The cursor stays
    visible, on an empty line below them: a process that is killed leaves nothing to be mended. (Rich's own
    Live hides it, and loses its place when a terminal that becomes narrower wraps the lines.)

    Args:
        console: Of a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._lines: tuple[Text, ...] = ()
        self._drawn: tuple[int, ...] = ()
        self._streams: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        self._streams = (sys.stdout, sys.stderr)
        # A stream that goes elsewhere is none of ours.
        if sys.stdout.isatty():
            sys.stdout = cast(TextIO, _LinesAbove(self, sys.stdout))
        if sys.stderr.isatty():
            sys.stderr = cast(TextIO, _LinesAbove(self, sys.stderr))
        return self

    def __exit__(self, *_: object) -> None:
        if self._streams is None:
            return
        replaced = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = self._streams
        self._streams = None
        for stream in replaced:
            if isinstance(stream, _LinesAbove):
                stream.finish()
        self.show(())

    def show(self, lines: Sequence[Text]) -> None:
        """Show other lines; what is wider than the terminal is cut off."""
        with self._lock:
            self._lines = tuple(lines)
            self._draw()

    def print(self, text: Text) -> None:
        """Print above the lines."""
        with self._lock:
            self._draw(text)

    def _draw(self, *above: Text) -> None:
        width, height = self._console.size
        # One line is the cursor's; a line as wide as the terminal would be followed by an empty one on some.
        lines = self._lines[: max(0, height - 1)]
        for line in lines:
            line.truncate(width - 1, overflow="crop" if self._console.options.ascii_only else "ellipsis")
        # Written at once when the block is left: nothing flickers.
        with self._console:
            self._console.control(self._erase(width))
            for text in (*above, *lines):
                self._console.print(text)
        self._drawn = tuple(line.cell_len for line in lines)

    def _erase(self, width: int) -> Control:
        """Go back to where the lines begin; a terminal that has become narrower has wrapped them."""
        rows = sum(max(1, -(-cells // width)) for cells in self._drawn)
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * rows
        return Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up)


class _LinesAbove(io.TextIOBase):
    """A stream whose lines are printed above a footer."""

    def __init__(self, footer: Footer, stream: TextIO) -> None:
        self._footer = footer
        self._stream = stream
        self._decoder = AnsiDecoder()
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._footer.print(self._decoder.decode_line(line))
        return len(text)

    def finish(self) -> None:
        """Print a line that has no end yet."""
        if self._begun:
            self.write("\n")

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding
