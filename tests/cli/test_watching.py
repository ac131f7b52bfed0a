"""`archsearch run` on a real terminal: what stands on it while it runs, at its end, and after Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal

pytestmark = pytest.mark.slow

_COLOURS = re.compile(r"\x1b\[(\d+;)*(3|4|9|10)[0-7]")

STUDY = """
name: watched
data: {name: digits, train_limit: 128}
architecture: {width: 4}
sweep: {depth: [8, 14]}
training: {epochs: 2, batch_size: 32, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""


@dataclass
class Watching:
    """A command on a terminal.

    Attributes:
        screens: What was shown each time after something was written.
        out: What went to standard output where that is no terminal.
    """

    code: int = 0
    out: str = ""
    raw: str = ""
    terminal: Terminal = field(default_factory=lambda: Terminal(100))
    screens: list[list[str]] = field(default_factory=list)


def watch(
    folder: Path,
    *options: str,
    text: str = STUDY,
    environment: dict[str, str] | None = None,
    interrupt: str = "",
) -> Watching:
    """Run a study on a terminal of 100 x 30; Ctrl-C when a text is shown."""
    (folder / "study.yaml").write_text(text)
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "archsearch", "run", "study.yaml", *options],
        cwd=folder,
        stdin=far,
        stdout=subprocess.PIPE if "--json" in options else far,
        stderr=far,
        env={**kept, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **(environment or {})},
        start_new_session=True,
    )
    os.close(far)
    watching, data = Watching(), b""
    while True:
        try:
            piece = os.read(near, 65536)
        except OSError:
            # Linux says so when the last one has left the other end.
            break
        if not piece:
            break
        data += piece
        watching.raw += (text := piece.decode(errors="replace"))
        watching.terminal.write(text)
        watching.screens.append(list(watching.terminal.shown))
        if interrupt and interrupt in "\n".join(watching.screens[-1]):
            os.kill(process.pid, signal.SIGINT)
            interrupt = ""
    if process.stdout is not None:
        watching.out = process.stdout.read().decode()
        process.stdout.close()
    watching.code = process.wait()
    os.close(near)
    return watching


def test_a_terminal_shows_trainings_while_they_run_and_results_at_the_end(tmp_path: Path) -> None:
    # so many epochs that some are seen, however fast the machine is
    watching = watch(tmp_path, "--json", text=STUDY.replace("epochs: 2", "epochs: 40"))

    assert watching.code == 0
    assert json.loads(watching.out)["trials"] == {"complete": 2}
    pictures = ["\n".join(screen) for screen in watching.screens]
    assert any("watched  getting ready ...  0:0" in picture for picture in pictures)
    assert any("seed 0  " in picture and "/40" in picture for picture in pictures)
    assert any("best so far: validation accuracy" in picture for picture in pictures)
    assert any("left" in picture for picture in pictures)
    last = watching.terminal.shown
    assert [line.split()[1:3] for line in last if "train " in line] == [["trial", "0"], ["trial", "1"]]
    assert not any("\u2501" in line or "best so far" in line for line in last)
    assert not watching.terminal.hidden
    assert watching.terminal.column == 0
    assert _COLOURS.search(watching.raw)


def test_ctrl_c_leaves_what_has_ended_and_one_sentence(tmp_path: Path) -> None:
    text = STUDY.replace("epochs: 2", "epochs: 200")

    watching = watch(tmp_path, text=text, interrupt="seed 0  ")

    assert watching.code == 130
    last = watching.terminal.shown
    assert last[-1] == "archsearch: stopped. The same command goes on from here."
    assert not any("\u2501" in line or "/200" in line for line in last)
    assert not watching.terminal.hidden


def test_an_error_stands_alone(tmp_path: Path) -> None:
    watch(tmp_path)

    watching = watch(tmp_path, text=STUDY.replace("epochs: 2", "epochs: 3"))

    assert watching.code == 2
    (error,) = "".join(watching.terminal.shown).split("archsearch: ")[1:]
    assert "training.epochs" in error
    assert "getting ready" not in "".join(watching.terminal.shown)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"PYTHONIOENCODING": "ascii"}])
def test_poor_terminals_are_shown_what_they_can_show(environment: dict[str, str], tmp_path: Path) -> None:
    # so many epochs that some are seen, however fast the machine is
    watching = watch(tmp_path, text=STUDY.replace("epochs: 2", "epochs: 40"), environment=environment)

    assert watching.code == 0
    if "TERM" in environment:
        assert "\x1b" not in watching.raw
        assert "100%" in "".join(watching.terminal.shown)
    elif "NO_COLOR" in environment:
        assert not _COLOURS.search(watching.raw)
        assert "\u2501" in watching.raw
    else:
        assert watching.raw.isascii()
        assert "###" in watching.raw


def test_a_pipe_gets_plain_lines_also_where_colours_are_forced(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    done = subprocess.run(
        [sys.executable, "-m", "archsearch", "run", "study.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "FORCE_COLOR": "1"},
        check=True,
    )

    lines = [line for line in done.stdout.splitlines() if "validation error" in line and " trial " in line]
    assert len(lines) == 2
    assert lines[1].endswith("100%, a moment left")
    assert "\x1b[1A" not in done.stdout
