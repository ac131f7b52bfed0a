"""Every exception that archsearch raises on purpose.

::

    ArchsearchError               exit code 1: something failed
    ├── InputError                exit code 2: what was given cannot be used
    │   ├── ArchitectureError     a field of an architecture
    │   ├── StudyError            a study file
    │   ├── DataError             a data source
    │   ├── RunFolderError        a run folder: missing, read-only, locked, another study's
    │   └── ExportError           an exported folder: incomplete, altered, of another version
    ├── JournalError              a journal is damaged elsewhere than in its last line
    ├── ExecutionError            workers cannot be started
    ├── MismatchError             an exported file computes something else than the trained network
    ├── PackingError              networks cannot be trained as one
    └── TrackingError             MLflow cannot be reached or refuses
"""

from __future__ import annotations

from typing import Any, Self

_MISSING: Any = object()


class ArchsearchError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""

    exit_code = 1


class InputError(ArchsearchError):
    """Something a person gave that cannot be used: where, the rule, what was got, the fix.

    Args:
        rule: What must hold, beginning with a verb: ``must be 6n+2 for basic cifar blocks``.
        path: Dotted path of the value at fault: ``architecture.depth``.
        got: The value at fault; left out of the message where not given.
        fix: What to do, one sentence.
        where: File and line: ``resnet_space.yaml:7``.
    """

    exit_code = 2

    def __init__(
        self, rule: str, *, path: str = "", got: Any = _MISSING, fix: str = "", where: str = ""
    ) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path
        self.got = got
        self.fix = fix
        self.where = where

    def at(self, *, where: str = "", path: str = "") -> Self:
        """Add the place to an error that was raised by code that did not know it; returns itself."""
        self.where = self.where or where
        self.path = path or self.path
        return self

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, self.path) if part)
        got = "" if self.got is _MISSING else f", got {_shown(self.got)}"
        sentence = f"{self.rule}{got}".rstrip(".") + "."
        return " ".join(part for part in (f"{place}:" if place else "", sentence, self.fix) if part)


def _shown(value: Any, limit: int = 120) -> str:
    text = value if isinstance(value, str) and value.isidentifier() else repr(value)
    # The end of a path says most, the beginning of a list too.
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 :]}"


class ArchitectureError(InputError):
    """A field of an architecture that has a wrong value or no place there."""


class StudyError(InputError):
    """A study file that cannot be run as it stands."""


class DataError(InputError):
    """A data source that is missing, empty, or not what it should be."""


class RunFolderError(InputError):
    """A run folder that is missing, read-only, in use, or belongs to another study."""


class ExportError(InputError):
    """An exported folder that is incomplete, altered, or of another version."""


class JournalError(ArchsearchError):
    """A journal that is damaged elsewhere than in its last line."""


class MismatchError(ArchsearchError):
    """A file that was just exported computes something else than the trained network."""


class PackingError(ArchsearchError):
    """Networks cannot be trained as one; each can alone."""


class ExecutionError(ArchsearchError):
    """Workers that cannot be started."""


class TrackingError(ArchsearchError):
    """An MLflow store that cannot be reached, or that refuses."""
