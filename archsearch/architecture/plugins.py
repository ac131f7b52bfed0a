"""Blocks and shortcuts of other packages, found through the entry point group ``archsearch.blocks``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from archsearch.architecture.definitions import (
    BlockDefinition,
    ShortcutDefinition,
    register_block,
    register_shortcut,
)
from archsearch.errors import ArchitectureError

ENTRY_POINT_GROUP = "archsearch.blocks"


def load_plugins(packages: Sequence[str]) -> tuple[str, ...]:
    """Register the blocks and shortcuts of the named packages, and of no others; return their names.

    An entry point leads to a `BlockDefinition` or a `ShortcutDefinition`. A package without one adds nothing:
    it may offer something else.

    Raises:
        ArchitectureError: An entry point cannot be imported or leads to something else.
    """
    wanted = {_normalized(package) for package in packages}
    points = [point for point in entry_points(group=ENTRY_POINT_GROUP) if _package(point) in wanted]
    return tuple(_register(point) for point in points)


def _register(point: EntryPoint) -> str:
    try:
        definition = point.load()
    except (ImportError, AttributeError) as error:
        raise ArchitectureError(
            f"must lead to something that can be imported ({error})",
            path=f"plugins.{point.name}",
            got=point.value,
        ) from error
    if isinstance(definition, BlockDefinition):
        register_block(definition)
        return definition.name
    if isinstance(definition, ShortcutDefinition):
        register_shortcut(definition)
        return definition.name
    raise ArchitectureError(
        "must lead to a BlockDefinition or a ShortcutDefinition",
        path=f"plugins.{point.name}",
        got=type(definition).__name__,
    )


def _package(point: EntryPoint) -> str:
    return _normalized(point.dist.name) if point.dist is not None else ""


def _normalized(name: str) -> str:
    # PEP 503: my_blocks, my.blocks and My-Blocks are one package
    return re.sub(r"[-_.]+", "-", name).lower()
