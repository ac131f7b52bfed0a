"""The process that writes finished trials into an Optuna storage of the user's.

::

    python -m archsearch.search.optuna_copying

A storage takes tens of milliseconds for a trial, and its driver's Python would hold up the conductor from a
thread too. Standard input gives pickles: `Target`, then a `Finished` for each trial; when it ends, what is
left is written, or given up after a while without success. Standard output tells, a line each: a number, the
trials done with so far, or the name of an error.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import optuna
from optuna.storages import GrpcStorageProxy
from optuna.trial import FrozenTrial

from archsearch.study.schema import Direction

PATIENCE_S = 15.0
"""How long the end is put off by a storage that does not answer."""

_NUMBER = "archsearch.trial"
# Optuna's own default.
_GRPC_PORT = 13000
_RETRY_S = 1.0


@dataclass(frozen=True)
class Target:
    """Where trials go: a storage, and in it one Optuna study a cell, the cell's label behind the name.

    Attributes:
        url: SQLAlchemy's of a database, or ``grpc://host:port`` of Optuna's proxy server.
    """

    url: str
    study_name: str
    directions: tuple[Direction, ...]


@dataclass(frozen=True)
class Finished:
    """A trial of a cell, under the number that it has in the whole study."""

    label: str
    number: int
    trial: FrozenTrial


class Copies:
    """Adds trials to the storage, each once, whoever added it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._studies: dict[str, tuple[optuna.Study, set[int]]] = {}

    def look_again(self) -> None:
        """Ask the storage anew what it holds: after an error nobody knows what it has carried out."""
        self._studies.clear()

    def add(self, finished: Finished) -> None:
        """Copy a trial.

        Raises:
            Exception: Whatever the storage's driver raises.
        """
        study, present = self._study(finished.label)
        trial = finished.trial
        if finished.number not in present:
            copied = optuna.trial.create_trial(
                state=trial.state,
                values=trial.values,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={_NUMBER: finished.number},
                system_attrs=trial.system_attrs,
                intermediate_values=trial.intermediate_values,
            )
            study.add_trial(copied)
            present.add(finished.number)

    def _study(self, label: str) -> tuple[optuna.Study, set[int]]:
        if label not in self._studies:
            name = self._target.study_name
            study = optuna.create_study(
                storage=_open_storage(self._target.url),
                study_name=f"{name}/{label}" if label else name,
                directions=list(self._target.directions),
                load_if_exists=True,
            )
            present = {trial.user_attrs.get(_NUMBER, -1) for trial in study.get_trials(deepcopy=False)}
            self._studies[label] = (study, present)
        return self._studies[label]


def _open_storage(url: str) -> str | GrpcStorageProxy:
    """Return what Optuna takes for a storage: it knows no URL of its own proxy server."""
    parts = urlsplit(url)
    if parts.scheme != "grpc":
        return url
    return GrpcStorageProxy(host=parts.hostname or "localhost", port=parts.port or _GRPC_PORT)


def copy_all(source: BinaryIO, *, patience_s: float = PATIENCE_S) -> None:
    """Copy what a stream of pickles gives, until it ends and nothing is left."""
    # From the process that started this one, through a pipe that nobody else can write to.
    copies = Copies(pickle.load(source))  # nosec B301
    backlog: deque[Finished] = deque()
    done, ended, since = 0, False, 0.0
    while not ended or backlog:
        if not ended:
            try:
                backlog.append(pickle.load(source))  # nosec B301
            except (EOFError, pickle.UnpicklingError):
                # Cut short where the conductor was killed.
                ended, since = True, time.monotonic()
        try:
            while backlog:
                copies.add(backlog[0])
                backlog.popleft()
                done, since = done + 1, time.monotonic()
                _say(str(done))
        # Whatever a storage's driver raises: what it missed is added with the next trial, or by the next run.
        except Exception as error:  # noqa: BLE001
            _say(type(error).__name__)
            copies.look_again()
            if ended:
                if time.monotonic() - since > patience_s:
                    return
                time.sleep(_RETRY_S)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # The conductor was killed; the copy goes on to its end.
        return


def main() -> None:
    """Copy from standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)
    # Else a server that drops packets holds a call for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    copy_all(sys.stdin.buffer)


if __name__ == "__main__":
    main()
