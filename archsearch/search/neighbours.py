"""What lies next to a set of proposed values: one gene changed by one step.

Numbers step to the next lower and higher value, anything else to any other. A range of very many values
steps by a sixteenth of itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Params = Mapping[str, Any]
Key = Callable[[Params], str]
"""What values would train, by a name that equal trainings share."""

_STEPS = 16


def list_neighbours(params: Params, distributions: Mapping[str, BaseDistribution], key: Key) -> list[Params]:
    """List the neighbours of a set of values, each of which trains something else.

    A step that changes nothing, such as a depth between two that a block can have, goes on to one that does.

    Args:
        params: Values by name.
        distributions: What each may be.
        key: Tells trainings apart.
    """
    found: dict[str, Params] = {key(params): params}
    for name, distribution in distributions.items():
        for walk in _walks(params[name], distribution):
            for value in walk:
                neighbour = {**params, name: value}
                if (known := key(neighbour)) not in found:
                    found[known] = neighbour
                    break
    return list(found.values())[1:]


def _walks(value: Any, distribution: BaseDistribution) -> list[Iterator[Any]]:
    """Directions in which a gene can step, nearest first."""
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        if not all(isinstance(c, int | float) and not isinstance(c, bool) for c in choices):
            return [iter([choice]) for choice in choices if choice != value]
        numbers: list[Any] = sorted(choices, key=float)
        place = numbers.index(value)
        return [iter(numbers[:place][::-1]), iter(numbers[place + 1 :])]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [_step(value, distribution, -1), _step(value, distribution, 1)]


def _step(value: float, distribution: IntDistribution | FloatDistribution, direction: int) -> Iterator[Any]:
    low, high = float(distribution.low), float(distribution.high)
    whole = isinstance(distribution, IntDistribution)
    step = distribution.step
    if distribution.log:
        ratio = (high / low) ** (1 / _STEPS)
        places = (value * ratio ** (direction * count) for count in range(1, _STEPS + 1))
    else:
        size = (high - low) / _STEPS
        if step is not None:
            size = step * max(1, math.floor(size / step))
        places = (value + direction * size * count for count in range(1, _STEPS + 1))
    seen = {value}
    for place in places:
        found = min(max(place, low), high)
        if step is not None:
            found = low + step * round((found - low) / step)
        if whole:
            found = round(found)
        if found not in seen and low <= found <= high:
            seen.add(found)
            yield found
