"""Means and spreads of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); the latter is None for a single value."""
    assert values, "a mean needs at least one value"
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
