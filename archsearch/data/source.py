"""A source of images, and the registry of sources; a plugin adds one through `archsearch.data`.

An entry point of that group is named like the source and leads to a `Source`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from archsearch.architecture import load_entry_points
from archsearch.data.dataset import Split
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


@dataclass(frozen=True, eq=False)
class RawData:
    """What a source gives: its own splits, None where it has none, and the names of the classes."""

    train: Split
    classes: tuple[str, ...]
    val: Split | None = None
    test: Split | None = None


def check_memory(size: int, path: str) -> None:
    """Refuse to hold more bytes than are free; a system may rather end some process than say so.

    Raises:
        DataError: Names what takes the bytes by `path`.
    """
    free = psutil.virtual_memory().available
    if size > free:
        raise DataError(
            f"must fit into the memory of this machine: it takes {size / 2**20:,.0f} MiB, and "
            f"{free / 2**20:,.0f} MiB are free",
            path=path,
        )


def _nothing_to_check(settings: DataSettings) -> None:
    """Accept: what is computed here cannot be missing."""


@dataclass(frozen=True)
class Source:
    """Where images come from.

    Attributes:
        load: Reads everything; raises DataError for whatever is wrong.
        check: Looks, without reading images, whether `load` can succeed; raises DataError otherwise.
    """

    load: Callable[[DataSettings], RawData]
    check: Callable[[DataSettings], None] = _nothing_to_check


SOURCES: dict[str, Source] = {}


def register_source(name: str, source: Source) -> None:
    """Make a source known under the name that a study uses in ``data: {name: …}``."""
    if SOURCES.get(name, source) != source:
        raise DataError("must be a name that no other source has", path="data.name", got=name)
    SOURCES[name] = source


def find_source(name: str) -> Source:
    """Return the source of this name, or raise a DataError that lists the known ones."""
    if name not in SOURCES:
        raise DataError(
            f"must be one of {', '.join(sorted(SOURCES))}",
            path="data.name",
            got=name,
            fix="A plugin's source needs its package under plugins.",
        )
    return SOURCES[name]


def load_source_plugins(packages: Iterable[str]) -> None:
    """Register the sources that these installed packages bring."""
    for name, source in load_entry_points("archsearch.data", packages):
        if not isinstance(source, Source):
            raise DataError(
                f"must be an archsearch.data.Source (entry point {name} of archsearch.data)",
                path="plugins",
                got=source,
            )
        register_source(name, source)
