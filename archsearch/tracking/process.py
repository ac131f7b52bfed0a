"""The mirror process as the application sees it; imports no MLflow."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from archsearch.execution.launching import stand_back
from archsearch.tracking.address import hide_passwords, resolve_uri
from archsearch.tracking.status import MirrorStatus

_LONGEST_START_S = 3.0
_LONGEST_END_S = 60.0


def print_to_stderr(message: str) -> None:
    """Print one message."""
    print(message, file=sys.stderr, flush=True)


class MirrorProcess:
    """Runs the mirror beside a study.

    It may be started ahead, to import MLflow while others import what they need; it writes nothing until it
    is told to begin. Entering the context does both. Leaving the context waits until MLflow holds everything,
    or the mirror gave up; leaving it by an exception does too, so that an interrupted study is shown as one.

    Args:
        run_folder: Where the journal is, or will be.
        uri: As the study's settings give it; see `resolve_uri`.
        on_message: Is told, from a thread, when MLflow cannot be reached and when it can again, each once
            however often that happens, and when the mirror gave up.
        patience_s: How long to try at the end, where MLflow cannot be reached.
    """

    def __init__(
        self,
        run_folder: str | Path,
        uri: str = "",
        *,
        on_message: Callable[[str], None] = print_to_stderr,
        patience_s: float = 15.0,
    ) -> None:
        self.uri = resolve_uri(uri)
        self._folder = Path(run_folder)
        self._on_message = on_message
        self._patience_s = patience_s
        self._status = MirrorStatus()
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._begun = False
        self._told: set[str] = set()

    @property
    def status(self) -> MirrorStatus:
        """What the mirror said last."""
        return self._status

    def start(self) -> None:
        """Start the process; returns at once, while it imports MLflow. A second call does nothing."""
        if self._process is not None:
            return
        self._begun = False
        self._ready.clear()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        command = [sys.executable, "-m", "archsearch.tracking.mirror", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, f"--patience-s={self._patience_s}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            # By the environment, not by an argument: the list of processes is open to everybody.
            env={**os.environ, "MLFLOW_TRACKING_URI": self.uri},
            # Ctrl-C is for the conductor, which then lets the mirror write the rest.
            start_new_session=True,
        )
        stand_back(self._process.pid)
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def wait_until_ready(self, timeout_s: float = _LONGEST_START_S) -> None:
        """Wait until a process that was started has imported MLflow, and keeps no core busy any more.

        On a busy machine no longer than for some seconds: nothing can be measured well there anyway.
        """
        if self._process is not None:
            self._ready.wait(timeout_s)

    def begin(self) -> None:
        """Let it write what the journal says, which nobody else may be doing."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._begun = True
        # It may have ended already, which is said when it is closed.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def close(self, timeout_s: float = _LONGEST_END_S) -> MirrorStatus:
        """Let the mirror write the rest and end; a second call returns the same.

        One that has not begun has nothing to write.
        """
        process = self._process
        if process is None:
            return self._status
        self._process = None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if not self._begun:
            process.kill()
        ended = True
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            ended = False
            process.kill()
            process.wait()
        self._listener.join()
        process.stdout.close()
        if self._begun and self._status.state not in ("done", "gave up"):
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip().splitlines()
            silence = "the mirror ended without a word" if ended else f"it did not end within {timeout_s:g} s"
            error = said[-1] if said else silence
            self._take(replace(self._status, state="gave up", error=hide_passwords(error)))
        self._complaints.close()
        return self._status

    def __enter__(self) -> Self:
        self.start()
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._ready.set()
            self._take(MirrorStatus.from_line(line))
        self._ready.set()

    def _take(self, status: MirrorStatus) -> None:
        before, self._status = self._status, status
        where = hide_passwords(self.uri)
        if status.state == "waiting":
            self._tell_once(
                "waiting",
                f"MLflow at {where} cannot be written ({status.error}). The study goes on, and what "
                "MLflow missed is written when it answers.",
            )
        elif status.state == "gave up":
            self._on_message(
                f"MLflow at {where} is not up to date ({status.error}). Nothing is lost: "
                f"`archsearch sync {self._folder}` brings it there later."
            )
        elif before.state == "waiting":
            self._tell_once("answers", f"MLflow at {where} answers again.")

    def _tell_once(self, kind: str, message: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._on_message(message)
