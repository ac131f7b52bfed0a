"""What other packages bring, found through entry points: blocks and shortcuts under ``archsearch.blocks``.

A package is looked into only when a study names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archsearch.architecture.definitions import (
    BlockDefinition,
    ShortcutDefinition,
    register_block,
    register_shortcut,
)
from archsearch.errors import ArchitectureError, InputError

ENTRY_POINT_GROUP = "archsearch.blocks"


def load_plugins(packages: Iterable[str]) -> tuple[str, ...]:
    """Register the blocks and shortcuts of the named packages, and of no others; return their names.

    An entry point leads to a `BlockDefinition` or a `ShortcutDefinition`. A package without one adds nothing:
    it may offer something else.

    Raises:
        InputError: An entry point cannot be imported or leads to something else.
    """
    return tuple(_register(name, found) for name, found in load_entry_points(ENTRY_POINT_GROUP, packages))


def load_entry_points(group: str, packages: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Load the entry points of `group` that the named packages bring: (name, object) each.

    Raises:
        InputError: One of them cannot be imported.
    """
    wanted = {_normalized(package) for package in packages}
    for point in entry_points(group=group):
        if _package(point) not in wanted:
            continue
        try:
            found = point.load()
        # Importing runs the package's own code, which may raise anything.
        except Exception as error:
            raise InputError(
                f"must lead to something that can be imported ({type(error).__name__}: {error})",
                path=f"plugins.{point.name}",
                got=point.value,
            ) from error
        yield point.name, found


def _register(name: str, definition: Any) -> str:
    if isinstance(definition, BlockDefinition):
        register_block(definition)
        return definition.name
    if isinstance(definition, ShortcutDefinition):
        register_shortcut(definition)
        return definition.name
    raise ArchitectureError(
        "must lead to a BlockDefinition or a ShortcutDefinition",
        path=f"plugins.{name}",
        got=type(definition).__name__,
    )


def _package(point: EntryPoint) -> str:
    return _normalized(point.dist.name) if point.dist is not None else ""


def _normalized(name: str) -> str:
    # PEP 503: my_blocks, my.blocks and My-Blocks are one package
    return re.sub(r"[-_.]+", "-", name).lower()
