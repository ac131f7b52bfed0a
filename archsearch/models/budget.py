"""The width that meets a parameter or MAC budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from archsearch.architecture import Architecture, default_stem_width, resolve_architecture
from archsearch.errors import ArchitectureError
from archsearch.models.cost import count_cost

# stage i has round(width * 2**i) channels, i <= 3: counts change at sixteenths of a width; group widths,
# which grow in proportion, may need finer steps
_STEP = 1 / 256
_WIDEST = 65_536.0


def solve_width(
    architecture: Architecture,
    input_shape: tuple[int, ...],
    classes: int,
    *,
    parameters: int | None = None,
    macs: int | None = None,
) -> Architecture:
    """Return the architecture at the real width whose exact count is nearest to the target.

    The group width, and a stem that is as wide as its default, change along with the width. A growth rate is
    a whole number, so that a dense network may stay far from its target; the caller sees what remains.

    Args:
        architecture: The network whose other fields are kept.
        input_shape: As for `build_network`.
        classes: As for `build_network`.
        parameters: The target; None where `macs` is given.
        macs: The target; None where `parameters` is given.

    Raises:
        ArchitectureError: Not one target is given, or every width is more than a factor of two away from it.
    """
    if (parameters is None) == (macs is None):
        raise ArchitectureError("must name one of parameters and macs", path="match")
    target = parameters if parameters is not None else macs
    assert target is not None

    @cache
    def count(width: float) -> int | None:
        """Count at this width; None where it is too narrow for the other fields."""
        try:
            at_width = _at_width(architecture, width)
        except ArchitectureError:
            return None
        cost = count_cost(at_width, input_shape, classes)
        return cost.parameters if parameters is not None else cost.macs

    narrower, wider = _bracket(count, target, float(architecture.width))
    found = {reached: width for width in (wider, narrower) if (reached := count(width)) is not None}
    nearest = min(found, key=lambda reached: abs(reached - target))
    if not min(found) <= target <= max(found) and not target / 2 <= nearest <= 2 * target:
        raise ArchitectureError(
            f"must be within reach of some width; the nearest has {nearest}",
            path="match.parameters" if parameters is not None else "match.macs",
            got=target,
        )
    return _shortest(architecture, found[nearest])


def _bracket(count: Callable[[float], int | None], target: int, start: float) -> tuple[float, float]:
    """Return two widths a step apart, the target between their counts, where there are such."""
    low, high = 1.0, max(1.0, start)
    while (count(high) or 0) <= target and high < _WIDEST:
        low, high = high, min(2 * high, _WIDEST)
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (middle, high) if (count(middle) or 0) <= target else (low, middle)
    return low, high


def _at_width(architecture: Architecture, width: float) -> Architecture:
    fields = architecture.to_mapping()
    if architecture.group_width is not None:
        fields["group_width"] = architecture.group_width * width / architecture.width
    if architecture.stem_width is not None and architecture.stem_width == default_stem_width(fields):
        del fields["stem_width"]
    return resolve_architecture(fields | {"width": width})


def _shortest(architecture: Architecture, width: float) -> Architecture:
    """Write the width with as few decimals as give the same network: 16, not 15.998."""
    exact = _at_width(architecture, width)
    for decimals in range(8):
        rounded = round(width, decimals)
        if rounded >= 1:
            found = _try(architecture, rounded)
            if found is not None and found.id == exact.id:
                return found
    return exact


def _try(architecture: Architecture, width: float) -> Architecture | None:
    try:
        return _at_width(architecture, width)
    except ArchitectureError:
        return None
