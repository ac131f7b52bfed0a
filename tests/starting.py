"""`archsearch` as processes of its own that begin within milliseconds: forked from one that has imported it.

Each is the real command, the leader of a session of its own. A new interpreter would take seconds of a
processor for the same imports, and tests start hundreds. What such a process starts in its turn, as the
mirror and the fork server of its workers, is forked in the same way.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.preloaded import read_line

ROOT = Path(__file__).parents[1]
# A study that was killed fifty times has two hundred trials.
_LONGEST_STUDY_S = 600.0

_CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

python, command = {python!r}, [*{before!r}, *sys.argv[1:]]
if command[:1] not in (["-m"], ["-c"]):
    os.execv(python, [python, *command])
request = dict(command=command, cwd=os.getcwd(), environment=dict(os.environ))
request["cores"] = sorted(os.sched_getaffinity(0))
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"\\0"], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\\n")
    os.closerange(0, 3)
    answers = server.makefile("r")
    pid = json.loads(answers.readline())["pid"]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = json.loads(answers.readline())["code"]
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@dataclass
class Command:
    """A command that was started.

    Attributes:
        pid: Process id, which is that of its session and process group too.
        started: When, by the clock that it sees.
    """

    pid: int
    output: Path
    started: float
    _connection: socket.socket
    _code: int | None = field(default=None, init=False)

    @property
    def code(self) -> int | None:
        """Exit code, the signal's number negated where one ended it; None while it runs."""
        if self._code is None and select.select([self._connection], [], [], 0)[0]:
            with self._connection, self._connection.makefile() as answers:
                self._code = int(json.loads(answers.readline())["code"])
        return self._code

    def wait(self, timeout_s: float = _LONGEST_STUDY_S) -> int:
        """Wait for its end; returns the exit code."""
        if self._code is None:
            select.select([self._connection], [], [], timeout_s)
        assert self.code is not None, f"it still runs after {timeout_s} s:\n{self.said()}"
        return self.code

    def send(self, signal_number: int) -> None:
        """Send a signal to this process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal_number)

    def said(self) -> str:
        """What it has written so far."""
        return self.output.read_text(errors="replace")


class Starter:
    """Context manager that starts commands, which end with it.

    Args:
        environment: Added to that of this process.

    Attributes:
        programs: `archsearch` and `python`, by which a shell starts them too.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        added = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **(environment or {})}
        self._environment = {**os.environ, **added}
        # MLflow sets it for a process in which somebody has chosen a store.
        self._environment.pop("MLFLOW_TRACKING_URI", None)
        self._commands: list[Command] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="archsearch-preloaded-")
        folder = Path(self._folder.name)
        self.programs = (folder / "archsearch", folder / "python")
        self._address = str(folder / "socket")
        for program, before in zip(self.programs, (["-m", "archsearch"], []), strict=True):
            program.write_text(_CLIENT.format(python=sys.executable, before=before, address=self._address))
            program.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", str(listener.fileno()), self.programs[1]],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                cwd=ROOT,
                env=self._environment,
            )
        return self

    def __exit__(self, *_: object) -> None:
        for command in self._commands:
            if command.code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(command.pid, signal.SIGKILL)
                command.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def start(
        self,
        *arguments: object,
        cwd: Path,
        cores: int = 1,
        address_mib: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Command:
        """Start ``archsearch`` with some arguments, its output in a file.

        Args:
            arguments: Of the command line.
            cwd: Working directory.
            cores: Number of cores that it sees: what is measured on several may end in other arithmetic.
            address_mib: Most address space that it and its children may have beyond what they begin with.
            environment: Added to its environment.
        """
        request = {
            "command": ["-m", "archsearch", *map(str, arguments)],
            "cwd": str(cwd),
            "environment": {**self._environment, **(environment or {})},
            "cores": sorted(os.sched_getaffinity(0))[:cores],
            "address_mib": address_mib,
        }
        path = cwd / f"output-{len(self._commands)}.txt"
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        with path.open("wb") as output, open(os.devnull, "rb") as nothing:  # noqa: PTH123
            socket.send_fds(connection, [b"\0"], [nothing.fileno(), output.fileno(), output.fileno()])
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(read_line(connection))
        command = Command(answer["pid"], path, answer["started"], connection)
        self._commands.append(command)
        return command

    def run(self, *arguments: object, cwd: Path, **options: Any) -> Command:
        """Start a command and wait for its end."""
        command = self.start(*arguments, cwd=cwd, **options)
        command.wait()
        return command
