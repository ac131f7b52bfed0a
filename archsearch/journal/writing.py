"""Append to a journal: what was appended is on disk before the call returns."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from archsearch.errors import RunFolderError
from archsearch.journal.reading import parse_lines
from archsearch.journal.records import VERSION, Record, decode_line, encode_line
from archsearch.training.saving import sync_folder

_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FIXES = {
    errno.ENOSPC: "Free some space on that disk, then run the study again: it goes on where it stopped.",
    errno.EDQUOT: "Free some of your quota there, then run the study again: it goes on where it stopped.",
    errno.EROFS: "The disk is mounted read-only: choose another folder with --runs-dir.",
    errno.EACCES: "Make the folder writable for you, or choose another with --runs-dir.",
    errno.EPERM: "Make the folder writable for you, or choose another with --runs-dir.",
}


class Journal:
    """The append-only record of a study. One process writes it; hold a `RunFolderLock` meanwhile.

    Attributes:
        path: The file.
        records: All records, oldest first.
        healed: What was done about a last line that a crash had torn; empty where there was none.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        records: list[Record],
        *,
        size: int,
        healed: str,
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        self.records = records
        self.healed = healed
        self._descriptor: int | None = descriptor
        self._size = size
        self._clock = clock

    @classmethod
    def open(cls, path: str | Path, *, clock: Callable[[], float] | None = None) -> Self:
        """Open a journal, or begin one; a torn last line is cut off, and `healed` says so.

        Raises:
            JournalError: It is damaged elsewhere than in its last line, or of another version.
            RunFolderError: It cannot be written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, _OPEN_FLAGS, 0o644)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        try:
            parsed = parse_lines(path.read_bytes(), path)
            healed = ""
            if parsed.torn:
                os.ftruncate(descriptor, parsed.size)
                os.fsync(descriptor)
                healed = (
                    f"{path}:{parsed.lines + 1}: the last line was torn by a crash; "
                    f"its {parsed.torn} bytes were removed."
                )
            sync_folder(path.parent)
        except OSError as error:
            os.close(descriptor)
            raise unwritable(path.parent, error) from error
        except BaseException:
            os.close(descriptor)
            raise
        clock = clock or _steady_clock(max([time.time(), *(record.time for record in parsed.records[-1:])]))
        return cls(path, descriptor, parsed.records, size=parsed.size, healed=healed, clock=clock)

    def now(self) -> float:
        """Return the time that a record written now would have at least, Unix seconds.

        It goes on at the pace of time though the clock on the wall is set while the journal is open.
        """
        return self._clock()

    def append(self, kind: str, **fields: Any) -> Record:
        """Write one record and wait until it is on disk; the first one is given the journal's version.

        Raises:
            RunFolderError: The disk is full or read-only; the journal is left as it was before.
        """
        (record,) = self.append_all(kind, [fields])
        return record

    def append_all(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write records of one kind together and wait once until they are on disk.

        Args:
            kind: Their kind.
            rows: The fields of each, of one at least.

        Raises:
            RunFolderError: As `append` does; then none of them is written.
        """
        assert self._descriptor is not None, "the journal is closed"
        records: list[Record] = []
        for row in rows:
            number = len(self.records) + len(records) + 1
            fields = {"version": VERSION, **row} if number == 1 else dict(row)
            latest = [*self.records[-1:], *records[-1:]]
            now = max([self.now(), *(record.time for record in latest)])
            records.append(Record(number, now, kind, fields))
        line = encode_line(records)
        # As a reader will see it: a resumed study must not differ from one that went on.
        records = decode_line(line[:-1])
        known, size = len(self.records), self._size
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
            self.records += records
            self._size += len(line)
        except BaseException as error:
            # Also after Ctrl-C: half a line, or a number given twice, would be damage for ever.
            del self.records[known:]
            self._size = size
            os.ftruncate(self._descriptor, size)
            if isinstance(error, OSError):
                raise unwritable(self.path.parent, error) from error
            raise
        return records

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _steady_clock(start: float) -> Callable[[], float]:
    """A clock that nobody sets: else an hour that it is set back would be missing in every duration."""
    begun = time.monotonic()
    return lambda: start + time.monotonic() - begun


def unwritable(folder: Path, error: OSError) -> RunFolderError:
    """Return the error for a run folder that the system refuses to write."""
    fix = _FIXES.get(error.errno or 0, "Choose another folder with --runs-dir.")
    return RunFolderError(f"must be writable ({error.strerror or error})", path=str(folder), fix=fix)


def find_disk_error(text: str) -> OSError | None:
    """Return the error of a full or read-only disk that a message, of whatever library, tells of."""
    found = (code for code in _OF_DISKS if os.strerror(code) in text)
    return next((OSError(code, os.strerror(code)) for code in found), None)


def _write_all(descriptor: int, data: bytes) -> None:
    # A nearly full disk takes a part and reports no error before the next call.
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
