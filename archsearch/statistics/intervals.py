"""Confidence intervals of a mean and of a share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from archsearch.statistics.descriptive import mean_and_std

BOOTSTRAP_FROM = 10
"""Values from which the bootstrap says more than the t distribution assumes."""

_RESAMPLES = 9999
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class MeanInterval:
    """A mean and its 95 % interval; without ends where one value shows no spread."""

    mean: float
    low: float | None
    high: float | None
    count: int
    method: Literal["none", "t", "bootstrap"]


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """The t interval below ten values, from ten on the bootstrap's (BCa, Efron 1987; the same each time)."""
    mean, std = mean_and_std(values)
    count = len(values)
    if std is None:
        return MeanInterval(mean, None, None, 1, "none")
    if min(values) == max(values):
        return MeanInterval(mean, mean, mean, count, "t")
    if count < BOOTSTRAP_FROM:
        reach = float(stats.t.ppf(0.975, count - 1)) * std / math.sqrt(count)
        return MeanInterval(mean, mean - reach, mean + reach, count, "t")
    with warnings.catch_warnings():
        # where all but one value are equal the acceleration may not exist: percentiles then
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        low, high = _bootstrap(values, "BCa")
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = _bootstrap(values, "percentile")
    return MeanInterval(mean, low, high, count, "bootstrap")


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share of `count` images; `share` may be a mean over seeds."""
    z2 = _Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _bootstrap(values: Sequence[float], method: str) -> tuple[float, float]:
    found = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=_RESAMPLES,
        method=method,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
