"""The process from which `tests.starting` forks: it imports all, and becomes what it is asked to be."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import multiprocessing.util
import os
import resource
import runpy
import select
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def read_line(connection: socket.socket) -> bytes:
    """Read to the end of a line, and no more."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        assert byte, "the other side has gone"
        line += byte
    return line


def _preload() -> None:
    """Import what commands and the mirror import."""
    for name in (
        "matplotlib.pyplot",
        "mlflow.store.tracking.sqlalchemy_store",
        "pandas",
        "scipy.stats",
        "archsearch.analysis.report_page",
        "archsearch.analysis.report_plots",
        "archsearch.application.reporting",
        "archsearch.application.running",
        "archsearch.cli.outcome_tables",
        "archsearch.cli.progress",
        "archsearch.cli.run_command",
        "archsearch.execution.inline",
        "archsearch.tracking.store",
        "archsearch.tracking.turns",
        "archsearch.training.evaluation",
        "archsearch.training.loop",
    ):
        importlib.import_module(name)
    # What is there already need not be looked through by any of the processes.
    gc.collect()
    gc.freeze()


class _Server:
    """Forks a process for each request, and tells when it ends."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._running: dict[int, tuple[int, socket.socket]] = {}
        self._selector = selectors.PollSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Serve until standard input ends, which gives None; in a new process, returns what that is to be."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    if request := self._fork():
                        return request
                elif key.data is None:
                    for pid in self._running:
                        os.kill(pid, signal.SIGKILL)
                    return None
                elif key.data not in self._running:
                    continue
                elif key.fd == self._running[key.data][0]:
                    self._end(key.data)
                else:
                    # Who asked for it has gone.
                    self._selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)

    def _fork(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
        request: dict[str, Any] = json.loads(read_line(connection))
        started, pid = time.time(), os.fork()
        for place, descriptor in enumerate(descriptors):
            if not pid:
                os.dup2(descriptor, place)
            os.close(descriptor)
        if not pid:
            self._leave(connection)
            return request
        self._running[pid] = os.pidfd_open(pid), connection
        for file in self._running[pid]:
            self._selector.register(file, selectors.EVENT_READ, pid)
        _answer(connection, pid=pid, started=started)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """Close, in a new process, what only the server uses."""
        self._listener.close()
        connection.close()
        for descriptor, other in self._running.values():
            os.close(descriptor)
            other.close()

    def _end(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        descriptor, connection = self._running.pop(pid)
        self._selector.unregister(descriptor)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        os.close(descriptor)
        with connection:
            _answer(connection, code=os.waitstatus_to_exitcode(status))


def _answer(connection: socket.socket, **answer: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _become(request: Mapping[str, Any], python: str) -> None:
    """Be what was asked for."""
    if "FAKETIME_TIMESTAMP_FILE" in os.environ:
        # libfaketime 0.9.10 refuses the system call that Python sleeps by, whatever the clock says.
        time.sleep = _sleep  # type: ignore[assignment]
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.sched_setaffinity(0, request["cores"])
    if mib := request.get("address_mib"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + mib * 2**20,) * 2)
    sys.executable = python
    importlib.invalidate_caches()
    with _spare_fork_server():
        code = _run(*request["command"])
    os._exit(code)


@contextlib.contextmanager
def _spare_fork_server() -> Iterator[None]:
    """Have a child that has imported all be the fork server, where this process should start one."""
    ours, theirs = socket.socketpair()
    spare = os.fork()
    if not spare:
        # As the fork server does later.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ours.close()
        message, descriptors, _, _ = socket.recv_fds(theirs, 65536, 16)
        theirs.close()
        if not message:
            os._exit(0)
        places, code = json.loads(message)
        aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 256) for descriptor in descriptors]
        for descriptor, place, kept in zip(descriptors, places, aside, strict=True):
            os.close(descriptor)
            os.dup2(kept, place)
            os.close(kept)
        os._exit(_run("-c", code))
    theirs.close()
    start = multiprocessing.util.spawnv_passfds

    def be_it(path: bytes, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
        if "multiprocessing.forkserver" not in arguments[-1] or ours.fileno() < 0:
            return int(start(path, arguments, descriptors))
        with ours:
            socket.send_fds(ours, [json.dumps([list(descriptors), arguments[-1]]).encode()], descriptors)
        return spare

    multiprocessing.util.spawnv_passfds = be_it  # type: ignore[assignment]
    yield
    if ours.fileno() >= 0:
        ours.close()
        os.waitpid(spare, 0)


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


def _run(kind: str, what: str, *arguments: str) -> int:
    """Run a module (``-m``) or lines (``-c``), as Python does; returns the exit code."""
    code: Any = 0
    try:
        if kind == "-m":
            sys.argv = [what, *arguments]
            if what == "archsearch":
                # The script that pip makes of it does not look into the working directory.
                sys.path[0] = sys.prefix + "/bin"
            else:
                sys.path[0] = str(Path.cwd())
                # A program is run, and not imported before.
                sys.modules.pop(what, None)
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = ""
            sys.argv = ["-c", *arguments]
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what Python does with it, in a process that must not go on
        traceback.print_exc()
        code = 1
    # What Python does at its end, but for taking apart all that was imported.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return int(code or 0)


if __name__ == "__main__":
    _preload()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        asked = _Server(listening).serve()
    if asked:
        _become(asked, sys.argv[2])
