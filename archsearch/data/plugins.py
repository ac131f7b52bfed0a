"""Entry points of the packages that a study names; those of any other package are left unloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from typing import Any

from archsearch.errors import StudyError


def load_entry_points(group: str, packages: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Load the entry points of `group` that the named distributions bring: (name, object) each.

    Raises:
        StudyError: An entry point of a named package cannot be imported.
    """
    wanted = {_normal_name(package) for package in packages}
    for point in entry_points(group=group):
        if point.dist is None or _normal_name(point.dist.name) not in wanted:
            continue
        try:
            found = point.load()
        except Exception as error:
            raise StudyError(
                f"must name packages that can be imported ({point.value}: {type(error).__name__}: {error})",
                path="plugins",
                got=point.dist.name,
            ) from error
        yield point.name, found


def _normal_name(package: str) -> str:
    """The spelling under which package indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()
