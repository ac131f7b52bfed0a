"""Read a journal: all of it, or what is new since the last look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archsearch.errors import JournalError, RunFolderError
from archsearch.journal.records import VERSION, BrokenLineError, Record, decode_line

JOURNAL_NAME = "journal.log"
"""Name of the journal in a run folder."""


@dataclass(frozen=True)
class Parsed:
    """The whole records at the beginning of some bytes.

    Attributes:
        records: These records.
        lines: Lines that they take.
        size: Bytes that they take.
        torn: Bytes after them: a last line that is cut short or does not match its checksum.
    """

    records: list[Record]
    lines: int
    size: int
    torn: int


def parse_lines(data: bytes, path: Path, *, after: int = 0, lines_before: int = 0) -> Parsed:
    """Decode lines that follow record number `after`; only the last one may be broken.

    Raises:
        JournalError: A line before the last is broken or missing, or the journal is of another version.
    """
    records: list[Record] = []
    lines = size = 0
    while (end := data.find(b"\n", size)) >= 0:
        line = lines_before + lines + 1
        try:
            found = decode_line(data[size:end])
        except BrokenLineError as error:
            # A crash leaves a broken line at the end only, since each line is on disk before the next.
            if end + 1 == len(data):
                break
            raise _damage(path, line, str(error)) from error
        for record in found:
            number = after + len(records) + 1
            if record.number != number:
                raise _damage(path, line, f"record {number} was expected here, not {record.number}")
            if number == 1:
                _check_version(record, path)
            records.append(record)
        lines += 1
        size = end + 1
    return Parsed(records, lines, size, len(data) - size)


def read_journal(path: str | Path) -> list[Record]:
    """Read all whole records of a journal, changing nothing.

    Raises:
        RunFolderError: There is no such file, or it cannot be read.
        JournalError: It is damaged elsewhere than in its last line, or of another version.
    """
    path = Path(path)
    try:
        return parse_lines(path.read_bytes(), path).records
    except FileNotFoundError as error:
        fix = "Name the folder of a study that was run, or run the study first."
        raise RunFolderError("must hold a journal, and there is none", path=str(path), fix=fix) from error
    except OSError as error:
        raise RunFolderError(f"cannot be read ({error.strerror})", path=str(path)) from error


class JournalReader:
    """Follows a journal while another process writes it; returns whole records only, each once."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._offset = 0
        self._number = 0
        self._lines = 0

    def poll(self) -> list[Record]:
        """Return the records that became complete since the last call; none while there is no file.

        Raises:
            JournalError: The journal is damaged, of another version, or became shorter.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:
                    raise JournalError(
                        f"{self._path}: the journal became shorter while it was read. "
                        "Start again from its beginning."
                    )
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        parsed = parse_lines(data, self._path, after=self._number, lines_before=self._lines)
        self._offset += parsed.size
        self._number += len(parsed.records)
        self._lines += parsed.lines
        return parsed.records


def _damage(path: Path, line: int, what: str) -> JournalError:
    keep, name = line - 1, path.name
    return JournalError(
        f"{path}:{line}: {what}: the file was altered, or the disk damaged it. Restore it from a copy; "
        f"or keep the {keep} lines before it (head -n {keep} {name} > kept.log, then put kept.log in "
        f"place of {name}) and run the study again, which repeats what came after them."
    )


def _check_version(record: Record, path: Path) -> None:
    version = record.fields.get("version")
    if version != VERSION:
        raise JournalError(
            f"{path}:1: the journal is of version {version!r}, and this archsearch reads version {VERSION}. "
            "Use the version of archsearch that wrote it."
        )
