"""What a check is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archsearch.journal import RunFolder
from archsearch.study import StudyConfig

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Of what was looked at.
        state: ``broken`` is what a study cannot run with.
        found: What there is.
        mend: What to do, one sentence; empty where all is well.
    """

    name: str
    state: State
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Subject:
    """What is examined.

    Attributes:
        runs_folder: Folder of all run folders.
        folder: Run folder of the study that was named; None where none was.
        study: That study; None where none was named, or it cannot be read.
        unreadable: Why it cannot be read.
    """

    runs_folder: Path
    folder: RunFolder | None = None
    study: StudyConfig | None = None
    unreadable: str = ""

    @property
    def place(self) -> Path:
        """The nearest folder above what a study writes that is there by now."""
        path = (self.folder.path if self.folder else self.runs_folder).absolute()
        return next(folder for folder in (path, *path.parents) if folder.is_dir())


Examine = Callable[[Subject], Check | None]
"""Looks at one thing; None where the subject has nothing of the kind."""


def shown_gib(size: float) -> str:
    """Write a number of bytes in GiB."""
    return f"{size / 2**30:.1f} GiB"
