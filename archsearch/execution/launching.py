"""Start worker processes quickly and quietly.

On Linux they are forked from a server process that has imported torch and Lightning beforehand: 12 ms
each, against seconds for a new interpreter. Elsewhere forking those libraries is not safe, and each worker
is a new interpreter.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import ModuleType

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"

# A tenth of the share of a training, where they want the same core.
_NICENESS = 10

# Libraries read these when they are loaded; torch is told its threads again for each job.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


def prepare_context(start_method: str, preload: Sequence[str]) -> BaseContext:
    """Return the context that starts workers; a fork server begins at once to import `preload`."""
    context = multiprocessing.get_context(start_method)
    resource_tracker.ensure_running()
    if start_method == "forkserver":
        context.set_forkserver_preload(list(preload))
        with _quiet_start(), _held_interrupts():
            forkserver.ensure_running()
    return context


def start_quietly(context: BaseContext, process: BaseProcess) -> None:
    """Start a process that neither warns, nor answers Ctrl-C, nor runs the caller's script again."""
    # A fork server does not hear Ctrl-C, nor does what it forks. Waiting until it has imported torch takes
    # seconds, in which the caller must hear it.
    forked = context.get_start_method() == "forkserver"
    with _quiet_start(), contextlib.nullcontext() if forked else _held_interrupts():
        process.start()


def stand_back(pid: int) -> None:
    """Have a process that is in no hurry run on what trainings leave of the cores."""
    # Windows has no such call. Over before it began: nobody is in its way.
    if hasattr(os, "setpriority"):
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Give a new process its environment, and hide the main module from it."""
    # multiprocessing runs the main module in each child, for functions that it might define. Nothing
    # of it is needed here, and a script without `if __name__ == "__main__"` would start the study again.
    main = sys.modules["__main__"]
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _held_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back for a moment; a process started meanwhile inherits that, and never hears it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
