"""Checks of a whole space: depths that exist, fields that are used, grids that end."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from archsearch.architecture import nearest_depths, resolve_architecture
from archsearch.errors import ArchitectureError, StudyError
from archsearch.study.cells import Cell, combine, unused_fields
from archsearch.study.dimensions import Dimension
from archsearch.study.space import Space

_DEPTH = "architecture.depth"
# The fields by which depth is counted.
_COUNTED_BY = ("architecture.block", "architecture.layout", "architecture.bottleneck", _DEPTH)
_MAX_COMBINATIONS = 20_000


def check_depths(space: Space) -> None:
    """Refuse a depth that is valid for none of the blocks that it can meet.

    Raises:
        StudyError: Its rule and the nearest valid depths.
    """
    valid: set[int] = set()
    refused: dict[int, ArchitectureError] = {}
    nearest: dict[int, set[int]] = {}
    for fields in islice(_structures(space), _MAX_COMBINATIONS):
        depth = fields["depth"]
        try:
            nearest.setdefault(depth, set()).update(nearest_depths(fields))
            resolve_architecture(fields)
            valid.add(depth)
        except ArchitectureError as error:
            # Another field at fault is reported with its cell.
            if error.path == "depth":
                refused.setdefault(depth, error)
    for depth, refusal in refused.items():
        if depth not in valid:
            near = ", ".join(map(str, sorted(nearest[depth])))
            raise StudyError(
                refusal.rule, path=_DEPTH, got=depth, fix=_depth_fix(space, refusal, near)
            ) from refusal


def _structures(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination of the fields by which depth is counted, where a depth is given."""
    dimensions = (*space.sweep, *space.search)
    needed = set(_COUNTED_BY)
    # Behind each dimension stand those that its conditions name.
    for dimension in reversed(dimensions):
        if dimension.path in needed:
            needed |= set(dimension.when)
    kept = [dimension for dimension in dimensions if dimension.path in needed]
    for values in combine(kept, space.base, Dimension.values):
        found = {**space.base, **values}
        if _DEPTH in found and "architecture.blocks" not in found:
            yield {path.partition(".")[2]: found[path] for path in _COUNTED_BY if path in found}


def _depth_fix(space: Space, error: ArchitectureError, near: str) -> str:
    ranges = (d for d in (*space.sweep, *space.search) if d.path == _DEPTH and d.kind == "integer")
    if next(ranges, None) is not None:
        return f"Nearest: {near}. Give the range a step that keeps to valid depths, or a list."
    return f"Nearest: {near}." if near else error.fix


def check_used(space: Space, cells: Sequence[Cell], *, optional: Collection[str]) -> None:
    """Refuse an architecture field that no network of the study uses.

    Args:
        space: The space.
        cells: Its cells.
        optional: Paths that may go unused.

    Raises:
        StudyError: The field.
    """
    given = [*space.base, *(dimension.path for dimension in (*space.sweep, *space.search))]
    required = [path for path in given if path.startswith("architecture.") and path not in optional]
    unused = unused_fields(space, cells, required)
    for path in required:
        if path in unused:
            rule = "must be left out: no network of this study uses it"
            raise StudyError(rule, path=path, fix="Remove it, or add a block that uses it.")


def check_grid(space: Space) -> None:
    """Refuse a grid over a range of numbers without a step.

    Raises:
        StudyError: The range.
    """
    for dimension in space.search:
        if dimension.count == math.inf:
            rule = "must have a step, or be a list: a grid tries every value"
            raise StudyError(rule, path=dimension.path)
