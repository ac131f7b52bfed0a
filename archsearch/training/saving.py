"""Files that are there in full or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

PART_SUFFIX = ".part"
"""Of what is being written; one that a crash left behind is nobody's."""


def replace_files(writes: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files, each by a function that is given where to.

    All are on disk before the first takes its place: there are microseconds only in which the end of this
    process could leave the one new and the other old.

    Raises:
        OSError: The disk is full or read-only; the files are as they were before.
    """
    parts = {path: path.with_name(f"{path.name}.{os.getpid()}{PART_SUFFIX}") for path in writes}
    try:
        for path, part in parts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            writes[path](part)
            sync_file(part)
        for path, part in parts.items():
            part.replace(path)
        for folder in {path.parent for path in parts}:
            sync_folder(folder)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Have the disk keep what was written to a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk keep the entries of a folder, names of new files among them; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
