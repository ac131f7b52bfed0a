"""checksums.txt, as ``sha256sum --check checksums.txt`` reads it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from archsearch.errors import ExportError
from archsearch.export.description import altered, missing

CHECKSUMS = "checksums.txt"

_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every other file of a folder."""
    files = sorted(path for path in folder.iterdir() if path.name != CHECKSUMS)
    text = "".join(f"{_checksum(path)}  {path.name}\n" for path in files)
    (folder / CHECKSUMS).write_text(text, encoding="utf-8")


def read_checksums(folder: Path) -> dict[str, str]:
    """Read the checksum of each file.

    Raises:
        ExportError: There are none, or they are not as they were written.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        raise missing(folder, CHECKSUMS)
    try:
        lines = [_LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise altered(path, "it is no text") from error
    if not lines or not all(lines):
        raise altered(path, "a line is not a checksum and a name")
    return {line.group(2): line.group(1) for line in lines if line}


def check_sum(folder: Path, name: str, sums: dict[str, str]) -> None:
    """Check one file against its checksum.

    Raises:
        ExportError: It is missing, has no checksum, or has another one.
    """
    path = folder / name
    if name not in sums:
        raise altered(folder / CHECKSUMS, f"{name} has no checksum")
    if not path.is_file():
        raise missing(folder, name)
    if _checksum(path) != sums[name]:
        raise altered(path, f"its checksum is another than {CHECKSUMS} says")


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(f"must be readable ({error.strerror})", path=str(path)) from error
