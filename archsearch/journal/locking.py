"""One conductor a run folder: a lock that the system drops when its process ends, however it ends."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import psutil
from filelock import FileLock, Timeout

from archsearch.errors import RunFolderError
from archsearch.journal.writing import unwritable

_HOLDER_NAME = "holder.json"
# When a process began is known to a second, and the clock may have been set since.
_CLOCKS_APART_S = 60.0


@dataclass(frozen=True)
class Holder:
    """Who holds a run folder, as it says of itself.

    Attributes:
        since: Date and time with the offset of its zone.
    """

    pid: int
    host: str
    since: str


def find_holder(folder: str | Path) -> Holder | None:
    """Return who holds a run folder, without touching its lock; None where nobody does.

    A process of this machine counts while it lives. Whether one of another machine does nobody here can
    tell: it counts until its name is taken away.
    """
    holder = _read_holder(Path(folder) / _HOLDER_NAME)
    if holder is None or (holder.host == socket.gethostname() and not _lives(holder)):
        return None
    return holder


def _read_holder(path: Path) -> Holder | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(told["pid"]), str(told["host"]), str(told["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        # There is none, or it is being written.
        return None


def _lives(holder: Holder) -> bool:
    """Whether it is there, and no later process that was given the same number."""
    try:
        process = psutil.Process(holder.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        since = datetime.fromisoformat(holder.since).timestamp()
        return process.create_time() <= since + _CLOCKS_APART_S
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.AccessDenied:
        return True


class RunFolderLock:
    """Context manager that holds a run folder, or says who does.

    The lock is the system's (flock), so nothing is left of it when its process is killed; `holder.json`
    beside it only tells a second process whom to blame.

    Raises:
        RunFolderError: On entering: another process holds the folder, or it cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._holder = self._folder / _HOLDER_NAME
        self._lock = FileLock(self._folder / ".lock", thread_local=False)

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            holder = Holder(os.getpid(), socket.gethostname(), since)
            self._holder.write_text(json.dumps(asdict(holder)), encoding="utf-8")
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
        rule, holder = "must not be in use by another run", _read_holder(self._holder)
        if holder is None:
            # The other process has the lock and has not yet written its name.
            fix = "Wait until that run ends."
        else:
            who = f"process {holder.pid} on {holder.host} has held it since {holder.since}"
            rule, fix = f"{rule}; {who}", f"Wait until it ends, or stop it there: kill {holder.pid}."
        return RunFolderError(rule, path=str(self._folder), fix=fix)
