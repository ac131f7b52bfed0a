"""What a number of seeds can show: the smallest difference that a test would find."""

from __future__ import annotations

import math

from scipy import optimize, stats
from scipy.special import stdtrit

POWER = 0.8
"""Chance of finding a difference that is called detectable."""

MOST_SEEDS = 1000


def detection_power(difference: float, std: float, count: int, *, level: float = 0.05) -> float:
    """Power of a two-sided t test of two samples of `count` values each with this deviation."""
    if std == 0:
        return 1.0 if difference else 0.0
    df = 2 * count - 2
    critical = float(stdtrit(df, 1 - level / 2))
    shift = abs(difference) / (std * math.sqrt(2 / count))
    upper = stats.nct.sf(critical, df, shift)
    lower = stats.nct.cdf(-critical, df, shift)
    return float(min(1.0, upper + (lower if math.isfinite(lower) else 0.0)))


def smallest_detectable(std: float, count: int, *, level: float = 0.05, power: float = POWER) -> float:
    """Smallest difference of two means that is found with this power (noncentral t)."""
    assert count > 1, "a test needs at least two values a side"
    if std == 0:
        return 0.0
    unit = std * math.sqrt(2 / count)

    def lack(shift: float) -> float:
        return power - detection_power(shift * unit, std, count, level=level)

    # how many standard errors are enough depends on the level, with two degrees of freedom as its root
    enough = 8.0
    while lack(enough) > 0:
        enough *= 2
    return float(optimize.brentq(lack, 0.0, enough)) * unit


def seeds_to_detect(
    difference: float, variances: tuple[float, float], *, level: float = 0.05, power: float = POWER
) -> int | None:
    """Values a side with which a one-sided Welch test would find the difference; None beyond 1000."""
    return _seeds(abs(difference), variances, level, 1 - power)


def seeds_to_equate(
    margin: float, variances: tuple[float, float], *, level: float = 0.05, power: float = POWER
) -> int | None:
    """Values a side with which two equal means would be shown to lie within the margin; None beyond 1000."""
    return _seeds(margin, variances, level, (1 - power) / 2)


def _seeds(distance: float, variances: tuple[float, float], level: float, miss: float) -> int | None:
    one, two = variances
    if one + two == 0:
        return 2
    for count in range(2, MOST_SEEDS + 1):
        df = (count - 1) * (one + two) ** 2 / (one**2 + two**2)
        # a quantile of t on both sides: close to the noncentral t, and a little to the safe side
        reach = float(stdtrit(df, 1 - level)) + float(stdtrit(df, 1 - miss))
        if reach * math.sqrt((one + two) / count) <= distance:
            return count
    return None
