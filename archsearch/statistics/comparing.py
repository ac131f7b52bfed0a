"""Two samples against each other: Welch's test and equivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import gammaln

from archsearch.statistics.contrasts import Contrast, difference
from archsearch.statistics.samples import Sample


@dataclass(frozen=True)
class Comparison:
    """The mean of the second minus that of the first.

    Attributes:
        difference: Estimate.
        low: Lower end of its 95 % interval.
        high: Upper end.
        df: Degrees of freedom.
        p: Two-sided.
        effect_size: Hedges' g; None where nothing varies, or too few values say how much.
    """

    difference: float
    low: float
    high: float
    df: float
    p: float
    effect_size: float | None


def compare_samples(first: Sample, second: Sample) -> Comparison:
    """Welch's t test, which assumes no equal variances.

    The effect size is Hedges' g on the average of both variances, with its own degrees of freedom
    (Delacre et al. 2021, g_s*, psyarxiv tu6mp); of equal counts and variances it is the usual g.
    """
    one, two = first.variance, second.variance
    size = None
    if one + two:
        m, n = first.count - 1, second.count - 1
        df = m * n * (one + two) ** 2 / (n * one**2 + m * two**2)
        size = _effect_size((second.mean - first.mean) / math.sqrt((one + two) / 2), df)
    return _comparison(difference(first, second), size)


def _effect_size(standardised: float, df: float) -> float | None:
    """Without bias; there is no such estimate with one degree of freedom."""
    return standardised * hedges_correction(df) if df > 1 else None


def hedges_correction(df: float) -> float:
    """The factor that takes the bias out of a standardised difference (Hedges 1981).

    With one degree of freedom no unbiased one exists: the factor is 0.
    """
    if df <= 1:
        return 0.0
    return math.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2)


def equivalence_p(change: Contrast, margin: float) -> float:
    """Two one-sided tests (Schuirmann 1987): small where the truth lies between -margin and margin."""
    return max(change.p_above(-margin), change.p_below(margin))


def _comparison(change: Contrast, effect_size: float | None) -> Comparison:
    low, high = change.interval()
    return Comparison(change.estimate, low, high, change.df, change.p_two_sided, effect_size)
