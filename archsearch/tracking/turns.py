"""Who writes a study's runs in MLflow takes turns: its mirror, that of a killed conductor, a sync."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock


class Turns:
    """One writer's turns; two that look what is missing at the same time would both create it.

    Args:
        run_folder: Of the study.
    """

    def __init__(self, run_folder: Path) -> None:
        self._lock = FileLock(run_folder / ".mirror.lock", thread_local=False)
        self._last = run_folder / ".mirror"
        self._name = uuid.uuid4().hex

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Wait for the turn and hold it; gives whether nobody else has had one since the last."""
        try:
            self._lock.acquire()
        except OSError:
            # A read-only or full folder, or none yet: nobody who writes there can be met there.
            yield True
            return
        try:
            undisturbed = self._last.is_file() and self._last.read_text() == self._name
            if not undisturbed:
                # On a full disk every turn counts as disturbed: slower, and as right.
                with suppress(OSError):
                    self._last.write_text(self._name)
            yield undisturbed
        finally:
            self._lock.release()
