"""One conductor a run folder: a lock that the system drops when its process ends, however it ends."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from archsearch.errors import RunFolderError
from archsearch.journal.writing import unwritable


class RunFolderLock:
    """Context manager that holds a run folder, or says who does.

    The lock is the system's (flock), so nothing is left of it when its process is killed; `holder.json`
    beside it only tells a second process whom to blame.

    Raises:
        RunFolderError: On entering: another process holds the folder, or it cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._holder = self._folder / "holder.json"
        self._lock = FileLock(self._folder / ".lock", thread_local=False)

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
            self._holder.write_text(json.dumps(holder), encoding="utf-8")
        except Timeout as error:
            raise self._in_use() from error
        except OSError as error:
            self._lock.release()
            raise unwritable(self._folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _in_use(self) -> RunFolderError:
        rule = "must not be in use by another run"
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            who = f"process {holder['pid']} on {holder['host']} has held it since {holder['since']}"
            rule, fix = f"{rule}; {who}", f"Wait until it ends, or stop it there: kill {holder['pid']}."
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # The other process has the lock and has not yet written its name.
            fix = "Wait until that run ends."
        return RunFolderError(rule, path=str(self._folder), fix=fix)
