"""Conditions between dimensions: which can hold at all, and in which order values must be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archsearch.errors import StudyError
from archsearch.study.dimensions import Dimension

Fault = Callable[[Dimension, str, str], StudyError]


def settle_conditions(
    sweep: Sequence[Dimension], search: Sequence[Dimension], base: Mapping[str, Any], fault: Fault
) -> tuple[tuple[Dimension, ...], tuple[Dimension, ...]]:
    """Order dimensions so that each stands behind those its conditions name.

    Conditions on fixed leaves are decided here and left out.

    Args:
        sweep: Dimensions drawn first.
        search: Dimensions drawn in each cell.
        base: Fixed values by path.
        fault: Makes the error of a dimension's condition from the path it names and a rule.

    Raises:
        StudyError: A condition that can never hold, or a cycle.
    """
    known = {dimension.path: dimension for dimension in (*sweep, *search)}
    swept = {dimension.path for dimension in sweep}
    settled = {}
    for dimension in (*sweep, *search):
        for path, allowed in dimension.when.items():
            _check_condition(dimension, path, allowed, known, base, fault)
            if dimension.path in swept and path in known and path not in swept:
                rule = "must name what is fixed or swept: cells are made before anything is searched"
                raise fault(dimension, path, rule)
        when = {path: allowed for path, allowed in dimension.when.items() if path not in base}
        settled[dimension.path] = replace(dimension, when=when)
    for dimension in settled.values():
        _check_together(dimension, settled, fault)
    order = _ordered(settled, fault)
    return (
        tuple(dimension for dimension in order if dimension.path in swept),
        tuple(dimension for dimension in order if dimension.path not in swept),
    )


def _check_condition(
    dimension: Dimension,
    path: str,
    allowed: Sequence[Any],
    known: Mapping[str, Dimension],
    base: Mapping[str, Any],
    fault: Fault,
) -> None:
    label = path.removeprefix("architecture.")
    if path in base:
        if base[path] not in allowed:
            raise fault(dimension, path, f"can never hold: {label} is fixed at {base[path]}")
    elif path not in known:
        raise fault(dimension, path, f"can never hold: this study neither fixes, sweeps nor searches {label}")
    elif not any(known[path].includes(value) for value in allowed):
        raise fault(dimension, path, f"can never hold: {label} never has such a value")


def _check_together(dimension: Dimension, known: Mapping[str, Dimension], fault: Fault) -> None:
    """Follow conditions to the conditions of what they name; all must hold at once."""
    together: dict[str, tuple[Any, ...]] = {}
    seen: set[str] = set()
    waiting = [dimension]
    while waiting:
        current = waiting.pop()
        if current.path in seen:
            continue
        seen.add(current.path)
        for path, allowed in current.when.items():
            left = tuple(value for value in together.get(path, allowed) if value in allowed)
            if not left:
                label = path.removeprefix("architecture.")
                raise fault(
                    dimension, next(iter(dimension.when)), f"can never hold: {label} must differ for it"
                )
            together[path] = left
            waiting.append(known[path])


def _ordered(dimensions: Mapping[str, Dimension], fault: Fault) -> list[Dimension]:
    """Depth-first: what a condition names first, else in the order written."""
    order: dict[str, Dimension] = {}

    def place(dimension: Dimension, behind: tuple[str, ...]) -> None:
        for path in dimension.when:
            if path in (*behind, dimension.path):
                raise fault(dimension, path, "must not lead back to the field itself")
            if path not in order:
                place(dimensions[path], (*behind, dimension.path))
        order.setdefault(dimension.path, dimension)

    for dimension in dimensions.values():
        place(dimension, ())
    return list(order.values())
