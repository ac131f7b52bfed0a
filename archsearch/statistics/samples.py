"""Samples: the values that several seeds gave, summed up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from archsearch.statistics.descriptive import mean_and_std


@dataclass(frozen=True)
class Sample:
    """Independent values of one quantity.

    Attributes:
        count: How many; at least two, for one has no spread.
        mean: Their mean.
        variance: Their sample variance (n - 1).
        known_variance: Of the mean, what the spread of the values does not show but is known from elsewhere;
            it counts with infinite degrees of freedom.
    """

    count: int
    mean: float
    variance: float
    known_variance: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float], *, resolution: float = 0.0, known_variance: float = 0.0) -> Self:
        """Sum values up.

        Args:
            values: At least two finite numbers.
            resolution: Step of the scale that they were read from; equal readings still differ by the
                variance of rounding, a twelfth of its square.
            known_variance: See the attribute.
        """
        assert len(values) > 1, "a spread needs at least two values"
        assert all(map(math.isfinite, values)), "what is not a number is an outcome, and no value"
        mean, std = mean_and_std(values)
        assert std is not None
        # equal values: their mean as computed may be one rounding off
        variance = 0.0 if min(values) == max(values) else std**2
        return cls(len(values), mean, variance + resolution**2 / 12, known_variance)

    @property
    def variance_of_mean(self) -> float:
        """Squared standard error, from the spread of the values alone."""
        return self.variance / self.count

    @property
    def standard_error(self) -> float:
        """Of the mean, with all that is known."""
        return math.sqrt(self.variance_of_mean + self.known_variance)
