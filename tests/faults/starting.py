"""`archsearch` as processes of its own that begin within milliseconds: forked from one that has imported it.

Each is the real command, the leader of a session of its own, with its output in a file. A new interpreter
would take seconds for the same imports, and a fault is provoked many times.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 120.0


@dataclass
class Command:
    """A command that was started.

    Attributes:
        pid: Process id, which is that of its session and process group too.
        code: Exit code, the signal's number negated where one ended it; None while it runs.
    """

    pid: int
    output: Path
    started: float
    code: int | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout_s: float = _PATIENCE_S) -> int:
        """Wait for its end; returns the exit code."""
        assert self._ended.wait(timeout_s), f"it still runs after {timeout_s} s:\n{self.said()}"
        assert self.code is not None
        return self.code

    def send(self, signal_number: int) -> None:
        """Send a signal to this process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal_number)

    def said(self) -> str:
        """What it has written so far."""
        return self.output.read_text(errors="replace")


class Starter:
    """Context manager that starts commands.

    Args:
        environment: Added to that of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        added = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **(environment or {})}
        self._environment = {**os.environ, **added}
        # MLflow sets it for a process in which somebody has chosen a store.
        self._environment.pop("MLFLOW_TRACKING_URI", None)
        self._commands: dict[int, Command] = {}
        self._lock = threading.Lock()
        self._answers: list[dict[str, Any]] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self._environment,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        for command in self._commands.values():
            if command.code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(command.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(
        self,
        *arguments: object,
        cwd: Path,
        cores: int = 1,
        address_mib: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Command:
        """Start ``archsearch`` with some arguments.

        Args:
            arguments: Of the command line.
            cwd: Working directory.
            cores: Number of cores that it sees: what is measured on several may end in other arithmetic.
            address_mib: Most address space that it and its children may have beyond what they begin with.
            environment: Added to its environment.
        """
        request = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "output": str(cwd / f"output-{len(self._commands)}.txt"),
            "cores": cores,
            "address_mib": address_mib,
            "environment": dict(environment or {}),
        }
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            with self._news:
                assert self._news.wait_for(lambda: self._answers, _PATIENCE_S), "the starter does not answer"
                pid = self._answers.pop()["pid"]
                return self._commands[pid]

    def run(self, *arguments: object, cwd: Path, **options: Any) -> Command:
        """Start a command and wait for its end."""
        command = self.start(*arguments, cwd=cwd, **options)
        command.wait()
        return command

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._news:
                if "code" in answer:
                    command = self._commands[answer["pid"]]
                    command.code = answer["code"]
                    command._ended.set()
                else:
                    self._commands[answer["pid"]] = Command(
                        answer["pid"], Path(answer["output"]), answer["started"]
                    )
                    self._answers.append(answer)
                self._news.notify_all()


def _serve() -> None:
    """Fork a command for each line of standard input, and tell when each ends."""
    import matplotlib.pyplot
    import pandas
    import scipy.stats

    import archsearch.analysis.report_page
    import archsearch.analysis.report_plots
    import archsearch.application.reporting
    import archsearch.application.running
    import archsearch.cli.outcome_tables
    import archsearch.cli.progress
    import archsearch.cli.run_command
    import archsearch.execution.inline
    import archsearch.training.evaluation
    import archsearch.training.loop

    # Imported for those that are forked.
    del archsearch, matplotlib, pandas, scipy
    lines, running, rest = sys.stdin.fileno(), set[int](), b""
    while True:
        ready, _, _ = select.select([lines], [], [], 0.01)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.discard(pid)
                print(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}), flush=True)
        if ready:
            data = os.read(lines, 65536)
            if not data:
                return
            *requests, rest = (rest + data).split(b"\n")
            for request in map(json.loads, requests):
                started, pid = time.time(), os.fork()
                if not pid:
                    _become(request)
                running.add(pid)
                print(json.dumps({"pid": pid, "output": request["output"], "started": started}), flush=True)


def _become(request: Mapping[str, Any]) -> None:
    """Be the command, in the child."""
    import resource

    from archsearch.cli import main

    if "FAKETIME_TIMESTAMP_FILE" in os.environ:
        # libfaketime 0.9.10 refuses the system call that Python sleeps by, whatever the clock says.
        time.sleep = lambda seconds: select.select([], [], [], seconds)
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["cores"]])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    if request["address_mib"]:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + request["address_mib"] * 2**20,) * 2)
    _exit_with(main, request["arguments"])


def _exit_with(main: Any, arguments: Sequence[str]) -> None:
    sys.argv = ["archsearch", *arguments]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what Python does with it, in a process that must not go on
        import traceback

        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # multiprocessing ends its children at exit, which is registered for this process too.
    import atexit

    atexit._run_exitfuncs()
    os._exit(int(code or 0))


if __name__ == "__main__":
    _serve()
