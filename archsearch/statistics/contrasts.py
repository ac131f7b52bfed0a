"""Weighted sums of independent means with unequal variances: differences, slopes, and their differences.

Welch's t test is the contrast of two means with weights -1 and 1; degrees of freedom by Satterthwaite (1946)
in the general case (Welch 1947).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from archsearch.statistics.samples import Sample


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of means.

    Attributes:
        estimate: Its value.
        standard_error: 0 where no value varies: then every probability is 0 or 1.
        df: Degrees of freedom of the t distribution; may be infinite.
    """

    estimate: float
    standard_error: float
    df: float

    def p_above(self, bound: float = 0.0) -> float:
        """Probability of an estimate this high or higher, were the truth at most `bound`."""
        return self._tail(bound - self.estimate)

    def p_below(self, bound: float = 0.0) -> float:
        """Probability of an estimate this low or lower, were the truth at least `bound`."""
        return self._tail(self.estimate - bound)

    @property
    def finite_df(self) -> float | None:
        """Degrees of freedom; None where they are infinite, for which JSON has no word."""
        return self.df if math.isfinite(self.df) else None

    @property
    def p_two_sided(self) -> float:
        """Probability of an estimate this far from 0, were the truth 0."""
        return min(1.0, 2 * self._tail(-abs(self.estimate)))

    def lower(self, confidence: float = 0.95) -> float:
        """Bound that the truth is above with this confidence."""
        return self.estimate - self._reach(confidence)

    def upper(self, confidence: float = 0.95) -> float:
        """Bound that the truth is below with this confidence."""
        return self.estimate + self._reach(confidence)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        return self.lower((1 + confidence) / 2), self.upper((1 + confidence) / 2)

    def _tail(self, shortfall: float) -> float:
        if self.standard_error == 0:
            return 0.0 if shortfall < 0 else 1.0
        return float(stdtr(self.df, shortfall / self.standard_error))

    def _reach(self, confidence: float) -> float:
        return self.standard_error * float(stdtrit(self.df, confidence)) if self.standard_error else 0.0


def contrast(samples: Sequence[Sample], weights: Sequence[float]) -> Contrast:
    """Weigh the means of independent samples."""
    parts = [(w * w, s) for w, s in zip(weights, samples, strict=True) if w]
    estimate = math.fsum(w * s.mean for w, s in zip(weights, samples, strict=True))
    variance = math.fsum(w * (s.variance_of_mean + s.known_variance) for w, s in parts)
    wobble = math.fsum((w * s.variance_of_mean) ** 2 / (s.count - 1) for w, s in parts)
    df = variance**2 / wobble if wobble else math.inf
    return Contrast(estimate, math.sqrt(variance), df)


def difference(first: Sample, second: Sample) -> Contrast:
    """The second mean minus the first."""
    return contrast((first, second), (-1.0, 1.0))
