"""Finished trials copied to an Optuna storage of the user's, for dashboards and other tools.

The copy decides nothing and holds up nobody: a process of its own writes it. A storage that does not answer
is waited for: what it missed is added with the next trial, by the next run or by `archsearch sync`.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from optuna.trial import FrozenTrial

from archsearch.execution.launching import stand_back
from archsearch.search.optuna_copying import PATIENCE_S, Finished, Target
from archsearch.study.schema import Direction

_log = logging.getLogger("archsearch")
# Beyond its own patience: a driver may wait for a connection for longer.
_LONGEST_SILENCE_S = PATIENCE_S + 15.0
_LOOK_S = 0.1


class OptunaMirror:
    """Copies the finished trials of one study, each once, one Optuna study a cell.

    Args:
        url: Optuna storage URL.
        study_name: Name of the study; a cell's label is put behind it.
        directions: Of the objectives.
    """

    def __init__(self, url: str, study_name: str, directions: Sequence[Direction]) -> None:
        self._target = Target(url, study_name, tuple(directions))
        self._process: subprocess.Popen[bytes] | None = None
        self._given = self._done = 0
        self._complained = False

    def add(self, label: str, number: int, trial: FrozenTrial) -> None:
        """Have a finished trial of a cell copied; returns at once."""
        if self._process is None:
            self._start()
        self._given += 1
        self._outbox.put(Finished(label, number, trial))

    def close(self, longest_silence_s: float = _LONGEST_SILENCE_S) -> None:
        """Wait until all are copied, or the storage has not taken one for so long."""
        process = self._process
        if process is None:
            return
        self._process = None
        self._outbox.put(None)
        done, since = self._done, time.monotonic()
        while self._listener.is_alive() and time.monotonic() - since < longest_silence_s:
            self._listener.join(_LOOK_S)
            if self._done != done:
                done, since = self._done, time.monotonic()
        process.kill()
        process.wait()
        self._feeder.join()
        self._listener.join()
        if self._done < self._given:
            missing = self._given - self._done
            _log.warning("Optuna's storage lacks %d finished trials; `archsearch sync` copies them.", missing)

    def _start(self) -> None:
        # In a session of its own: Ctrl-C is for the conductor, and what was handed over is copied to the end.
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "archsearch.search.optuna_copying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        stand_back(process.pid)
        self._given = self._done = 0
        self._outbox: SimpleQueue[Target | Finished | None] = SimpleQueue()
        # The address goes this way and not by an argument, which is open to everybody on the machine.
        self._outbox.put(self._target)
        self._feeder = threading.Thread(target=self._feed, args=(process,), daemon=True)
        self._listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        self._feeder.start()
        self._listener.start()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        # A process that died says nothing more; how many trials are missing is told at the end.
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            while (item := self._outbox.get()) is not None:
                pickle.dump(item, pipe)
                pipe.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                said = line.decode().strip()
                if said.isdecimal():
                    self._done = int(said)
                elif not self._complained:
                    self._complained = True
                    _log.warning(
                        "Optuna's storage cannot be written (%s); the study goes on, and the trials that it "
                        "misses are copied when it answers again.",
                        said,
                    )
