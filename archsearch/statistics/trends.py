"""How a quantity changes with depth: slopes, tests of order, and whether two slopes differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from archsearch.statistics.contrasts import Contrast, contrast
from archsearch.statistics.samples import Sample


@dataclass(frozen=True)
class Trend:
    """A straight line over neighbouring depths, per doubling of depth.

    Attributes:
        first: Index of its shallowest depth.
        last: Index of its deepest.
        doublings: From the shallowest to the deepest.
        slope: Change per doubling.
        p: One-sided, that the change is beyond the margin; by itself.
        p_adjusted: The same as a member of its family.
    """

    first: int
    last: int
    doublings: float
    slope: Contrast
    p: float
    p_adjusted: float

    @property
    def change(self) -> float:
        """From the shallowest to the deepest, along the line."""
        return self.slope.estimate * self.doublings

    @property
    def total(self) -> Contrast:
        """The change as a contrast."""
        slope = self.slope
        return Contrast(self.change, slope.standard_error * self.doublings, slope.df)


def slope_weights(depths: Sequence[float]) -> list[float]:
    """Weights of the means in the slope of the least-squares line against log2(depth)."""
    logs = [math.log2(depth) for depth in depths]
    middle = math.fsum(logs) / len(logs)
    spread = math.fsum((log - middle) ** 2 for log in logs)
    return [(log - middle) / spread for log in logs]


def slope(samples: Sequence[Sample], depths: Sequence[float]) -> Contrast:
    """Change of the mean per doubling of depth, each depth with a variance of its own."""
    return contrast(samples, slope_weights(depths))


def slope_difference(
    first: tuple[Sequence[Sample], Sequence[float]], second: tuple[Sequence[Sample], Sequence[float]]
) -> Contrast:
    """Slope of the second curve minus that of the first: the interaction with depth."""
    weights = [*(-weight for weight in slope_weights(first[1])), *slope_weights(second[1])]
    return contrast([*first[0], *second[0]], weights)


def examine_order(
    samples: Sequence[Sample],
    depths: Sequence[float],
    direction: Literal["rise", "fall"],
    *,
    margin: float = 0.0,
) -> list[Trend]:
    """Test whether means rise (fall) with depth anywhere, against the null that they never do.

    With a margin, the null is that no line rises (falls) by more than so much from its one end to the other.

    The family: for a rise, the slope over all depths and the slopes over the deeper 2, 3, … of them, so that
    a rise behind an improvement is found; for a fall likewise over the shallower ones. If means never rise,
    no such slope is above 0, whatever the values in between. The slope over all depths has half of the error
    rate and the others share the rest (weighted Bonferroni), as most curves that get worse do so throughout:
    in simulations that found more than equal shares or all pairs did, above all with many depths.

    Returns:
        The family, that over all depths first; the smallest `p_adjusted` is the p value of the whole.
    """
    count = len(samples)
    assert count > 1, "an order needs at least two depths"
    found = []
    for size in range(count, 1, -1):
        first, last = (count - size, count) if direction == "rise" else (0, size)
        line = slope(samples[first:last], depths[first:last])
        doublings = math.log2(depths[last - 1] / depths[first])
        steepest = margin / doublings
        p = line.p_above(steepest) if direction == "rise" else line.p_below(-steepest)
        weight = 1.0 if count == 2 else 0.5 if size == count else 0.5 / (count - 2)
        found.append(Trend(first, last - 1, doublings, line, p, min(1.0, p / weight)))
    return found


def rank_correlation(depths: Sequence[float], values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Kendall's tau-b of depth and value over all seeds, and its two-sided p.

    The test is that of Jonckheere and Terpstra for ordered groups: it looks at ranks alone. Where nothing
    differs, tau is 0 and p is 1.
    """
    ranks = [depth for depth, group in zip(depths, values, strict=True) for _ in group]
    flat = [value for group in values for value in group]
    if len(set(flat)) < 2 or len(set(ranks)) < 2:
        return 0.0, 1.0
    result = stats.kendalltau(np.asarray(ranks), np.asarray(flat))
    return float(result.statistic), float(result.pvalue)
