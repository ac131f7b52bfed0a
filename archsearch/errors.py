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
    ├── CheckpointError           a training's state is damaged, or of another training
    └── TrackingError             MLflow cannot be reached or refuses

    KeyboardInterrupt             exit code 130: Ctrl-C
    └── Terminated                exit code 143: SIGTERM
"""

from __future__ import annotations

import re
from typing import Any, Self

_MISSING: Any = object()

HIDDEN = "***"
"""What stands in the place of a password."""

# Up to the last @ before a space, and where there is none up to the next: rather too much is hidden than a
# password with an @ or a space in it half shown.
_IN_FRONT_OF_HOST = re.compile(r"(://[^/\s:@]*):(?:\S*|[^@]*)@")
_NAMED = re.compile(r"((?:password|passwd|pwd|token|secret|api_?key)=)[^&\s;#'\"]+", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Return a text, a URI or a message that holds one, with the passwords of its URIs starred out."""
    return "\n".join(map(_hide_in_line, text.split("\n")))


def _hide_in_line(line: str) -> str:
    # Without an @ further on, the pattern would look for one from each of its beginnings.
    before, at, after = line.rpartition("@")
    return _NAMED.sub(rf"\1{HIDDEN}", _IN_FRONT_OF_HOST.sub(rf"\1:{HIDDEN}@", before + at) + after)


class ArchsearchError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback.

    What it says holds no password, whatever URI or foreign message went into it.
    """

    exit_code = 1

    def __str__(self) -> str:
        return hide_passwords(super().__str__())


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
        place = ": ".join(_shortened(part, 300) for part in (self.where, self.path) if part)
        got = "" if self.got is _MISSING else f", got {_shown(self.got)}"
        sentence = f"{self.rule}{got}".rstrip(".") + "."
        text = " ".join(part for part in (f"{place}:" if place else "", sentence, self.fix) if part)
        return _printable(hide_passwords(text))


def _shown(value: Any) -> str:
    # Before it is shortened, which might leave half a password and not the @ behind it.
    text = hide_passwords(value if isinstance(value, str) and value.isidentifier() else repr(value))
    return _shortened(text)


def _shortened(text: str, limit: int = 120) -> str:
    # The end of a path says most, the beginning of a list too.
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 :]}"


def _printable(text: str) -> str:
    """Escape what a terminal would obey: names of files and of keys may hold anything."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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


class CheckpointError(ArchsearchError):
    """State of a training that cannot be gone on from, which then begins anew."""


class ExecutionError(ArchsearchError):
    """Workers that cannot be started."""


class TrackingError(ArchsearchError):
    """An MLflow store that cannot be reached, or that refuses."""


class Terminated(KeyboardInterrupt):
    """SIGTERM asks for an end: everything is left as after Ctrl-C."""
