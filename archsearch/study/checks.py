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
MAX_GRID = 100_000


def check_depths(space: Space) -> None:
    """Refuse a depth that is valid for none of the blocks that it can meet.

    Raises:
        StudyError: Its rule and the nearest valid depths.
    """
    nearest: dict[int, set[int]] = {}
    refused: dict[int, dict[str, Any]] = {}
    for fields in islice(_structures(space), _MAX_COMBINATIONS):
        try:
            near = nearest_depths(fields)
        except ArchitectureError:
            # Another field is at fault: it is reported with its cell.
            continue
        nearest.setdefault(fields["depth"], set()).update(near)
        if near and near[0] != fields["depth"]:
            refused.setdefault(fields["depth"], fields)
    for depth, fields in refused.items():
        if depth not in nearest[depth]:
            raise _depth_error(space, fields, sorted(nearest[depth]))


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


def _depth_error(space: Space, fields: dict[str, Any], nearest: Sequence[int]) -> StudyError:
    fix = f"Nearest: {', '.join(map(str, nearest))}."
    if any(d.path == _DEPTH and d.kind == "integer" for d in (*space.sweep, *space.search)):
        fix += " Give the range a step that keeps to valid depths, or a list."
    rule = "must be a depth that one of the blocks has"
    try:
        resolve_architecture(fields)
    except ArchitectureError as error:
        rule = error.rule if error.path == "depth" else rule
    return StudyError(rule, path=_DEPTH, got=fields["depth"], fix=fix)


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
    """Refuse a grid over a range of numbers without a step, and one that is too large to be listed.

    Raises:
        StudyError: The range, or the largest of them.
    """
    for dimension in space.search:
        if dimension.count == math.inf:
            rule = "must have a step, or be a list: a grid tries every value"
            raise StudyError(rule, path=dimension.path)
    if math.prod(dimension.count for dimension in space.search) > MAX_GRID:
        largest = max(space.search, key=lambda dimension: dimension.count)
        rule = f"must leave at most {MAX_GRID:_} combinations: a grid tries every one"
        raise StudyError(rule, path=largest.path, fix="Give a larger step, or take another sampler.")
