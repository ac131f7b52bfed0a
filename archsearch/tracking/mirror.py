"""The process that keeps MLflow like the journal, out of the way of training.

::

    python -m archsearch.tracking.mirror RUN_FOLDER --uri URI

It follows the journal from the first line of its standard input on, and ends when that does: it has then
written the rest, or given up after a bounded time. So it outlives a conductor that is killed, for as long as
that takes. It tells of itself in lines of JSON (`MirrorStatus`) on standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from archsearch.errors import JournalError, RunFolderError, TrackingError
from archsearch.journal import (
    CONCLUSION_NAME,
    JOURNAL_NAME,
    JournalReader,
    RunFolder,
    RunFolderLock,
    read_journal,
)
from archsearch.tracking.address import hide_passwords, resolve_uri
from archsearch.tracking.deriving import STUDY, Rows
from archsearch.tracking.status import MirrorStatus
from archsearch.tracking.store import Store
from archsearch.tracking.turns import Turns

_SHORTEST_POLL_S = 0.5
_LONGEST_POLL_S = 5.0
# Of its time, unless it would look too seldom: many small writes cost more than few large ones.
_WRITING_SHARE = 0.05
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 30.0
_DRAIN_PATIENCE_S = 15.0


class Mirror:
    """One attempt to bring MLflow to where the journal is; after an error, a new one begins anew.

    All that it writes is derived from the journal, and what stands in MLflow already is left alone, so
    beginning anew costs a little time and changes nothing.

    Attributes:
        status: How far it is.
        wrote: Whether MLflow has taken anything from it.
    """

    def __init__(self, run_folder: Path, uri: str) -> None:
        self._folder = RunFolder(run_folder)
        self._uri = uri
        self._turns = Turns(run_folder)
        self.wrote = False
        self._begin()

    def _begin(self) -> None:
        self._reader = JournalReader(self._folder.journal)
        self._rows = Rows()
        self._store: Store | None = None
        self.status = MirrorStatus()

    def catch_up(self, *, settle: bool = False) -> None:
        """Write what the journal holds by now.

        At the end, to `settle`, runs that nobody works on any more are closed, and the report goes to the
        study's run.

        Raises:
            JournalError: The journal is damaged.
            Exception: Whatever MLflow raises.
        """
        with self._turns.take() as undisturbed:
            if not undisturbed and self._store is not None:
                self._begin()
            self._write_news(settle=settle)

    def _write_news(self, *, settle: bool) -> None:
        records = self._reader.poll()
        for record in records:
            self._rows.add(record)
        self.status = replace(self.status, lag=self.status.lag + len(records))
        if settle:
            self._rows.settle()
        if not self._rows.header:
            return
        if self._store is None:
            self._store = Store(self._uri, self._rows.header)
            self.status = replace(
                self.status, experiment_id=self._store.experiment_id, experiment=self._store.experiment
            )
        for key, row in list(self._rows.changed.items()):
            self._store.write(row)
            self.wrote = True
            del self._rows.changed[key]
        if self.status.lag:
            self._store.tag(self._rows.experiment_tags())
        conclusion = self._folder.report / CONCLUSION_NAME
        if settle and conclusion.is_file():
            self._store.attach(STUDY, self._folder.report, conclusion.read_text(encoding="utf-8"))
        self.status = replace(self.status, lag=0, runs=len(self._store))


def sync(run_folder: str | Path, uri: str = "") -> MirrorStatus:
    """Replay a journal into MLflow, in this process.

    Args:
        run_folder: Where the journal is.
        uri: As the study's settings give it; empty takes MLFLOW_TRACKING_URI, else ``sqlite:///mlflow.db``.

    Raises:
        RunFolderError: The folder holds no journal.
        JournalError: The journal is damaged.
        TrackingError: MLflow cannot be reached, or refuses.
    """
    folder, uri = Path(run_folder), resolve_uri(uri)
    read_journal(folder / JOURNAL_NAME)
    mirror = Mirror(folder, uri)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(RunFolderLock(folder))
            abandoned = True
        except RunFolderError:
            # Somebody works on the study, or the folder is read-only: its open runs are not ours to close.
            abandoned = False
        try:
            mirror.catch_up(settle=abandoned)
        except JournalError:
            raise
        except Exception as error:
            raise TrackingError(
                f"MLflow at {hide_passwords(uri)} could not be written: {_describe(error)}. "
                "Nothing is lost: the journal holds everything, and the same command goes on from here."
            ) from error
    return replace(mirror.status, state="done")


def follow(
    run_folder: Path,
    uri: str,
    ended: threading.Event,
    tell: Callable[[MirrorStatus], None],
    *,
    patience_s: float = _DRAIN_PATIENCE_S,
) -> None:
    """Mirror a journal that grows, until `ended` is set and the rest is written.

    Errors of MLflow are waited out; once `ended` is set no longer than for `patience_s`. A first one is not
    told: a connection that was cut is often there again a second later.
    """
    mirror, delay_s, deadline = Mirror(run_folder, uri), _FIRST_DELAY_S, float("inf")
    told, failures, doubtful = mirror.status, 0, False
    while True:
        last, begun = ended.is_set(), time.monotonic()
        if last and deadline == float("inf"):
            deadline = time.monotonic() + patience_s
        try:
            mirror.catch_up(settle=last)
            status, delay_s, failures = mirror.status, _FIRST_DELAY_S, 0
            if last and doubtful:
                # What had been asked for when an error came may have been carried out later.
                mirror, doubtful = Mirror(run_folder, uri), False
                continue
            if last:
                tell(replace(status, state="done"))
                return
        except JournalError as error:
            tell(replace(mirror.status, state="gave up", error=str(error)))
            return
        # Whatever MLflow and what lies below it raise: training goes on, and the journal keeps it all.
        except Exception as error:  # noqa: BLE001
            status = replace(mirror.status, state="waiting", error=_describe(error))
            if time.monotonic() >= deadline:
                tell(replace(status, state="gave up"))
                return
            # A server that fails now and then is not left alone for longer and longer.
            delay_s = _FIRST_DELAY_S if mirror.wrote else delay_s
            mirror = Mirror(run_folder, uri)
            failures, doubtful = failures + 1, True
        if status.state == "waiting":
            if failures > 1 and told.state != "waiting":
                tell(status)
                told = status
            (time.sleep if last else ended.wait)(min(delay_s, max(0.0, deadline - time.monotonic())))
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
        else:
            if told != status:
                tell(status)
            told = status
            ended.wait(_rest_s(time.monotonic() - begun))


def _rest_s(written_s: float) -> float:
    """How long to leave the journal alone after a time of writing."""
    return min(max(written_s / _WRITING_SHARE, _SHORTEST_POLL_S), _LONGEST_POLL_S)


def main(arguments: Sequence[str] | None = None) -> None:
    """Follow a journal until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m archsearch.tracking.mirror", description=__doc__)
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("--uri", default="", help="MLflow tracking URI")
    parser.add_argument("--once", action="store_true", help="write what there is, and end")
    parser.add_argument(
        "--patience-s", type=float, default=_DRAIN_PATIENCE_S, help="how long to try at the end"
    )
    options = parser.parse_args(arguments)
    tell = _take_over_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if options.once:
        tell(sync(options.run_folder, options.uri))
        return
    tell(MirrorStatus())
    if not os.read(sys.stdin.fileno(), 1):
        return
    ended = threading.Event()
    threading.Thread(target=_await_end_of_input, args=(ended,), daemon=True).start()
    follow(options.run_folder, resolve_uri(options.uri), ended, tell, patience_s=options.patience_s)
    # All is written, and somebody waits; what MLflow does at an interpreter's end takes most of a second.
    os._exit(0)


def _await_end_of_input(ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    ended.set()


def _take_over_stdout() -> Callable[[MirrorStatus], None]:
    """Keep standard output for statuses; what a library prints there goes to standard error."""
    pipe = os.dup(1)
    os.dup2(2, 1)

    def tell(status: MirrorStatus) -> None:
        # The one who would read it may be dead.
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, f"{status.to_line()}\n".encode())

    return tell


def _describe(error: Exception) -> str:
    line = " ".join(str(error).split("\n")[0].split())
    return hide_passwords(f"{type(error).__name__}: {line[:300]}")


if __name__ == "__main__":
    main()
