"""How well one quantity ranks another: rank correlations with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST_RANKED = 10
"""Pairs below which a rank correlation says too little to be given."""

_RESAMPLES = 999
# Of more pairs so many, drawn at random, are resampled: the interval is then wider than it need be.
_MOST_RESAMPLED = 2000

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho and Kendall's tau-b of some pairs, each with the ends of its 95 % interval.

    Both are 1 where the order is the same, -1 where it is reversed, and about 0 where there is none.
    """

    count: int
    rho: float
    rho_low: float
    rho_high: float
    tau: float
    tau_low: float
    tau_high: float


def correlate_ranks(first: Sequence[float], second: Sequence[float]) -> RankCorrelation | None:
    """Correlate the ranks of two finite quantities; ties have the mean of their ranks.

    The intervals are percentiles of the bootstrap (Efron 1979) over pairs, the same each time.

    Returns:
        None where there are fewer than `FEWEST_RANKED` pairs, or one of the quantities does not vary.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(x) < FEWEST_RANKED or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    generator = np.random.default_rng(0)
    chosen = np.arange(len(x))
    if len(x) > _MOST_RESAMPLED:
        chosen = generator.choice(len(x), _MOST_RESAMPLED, replace=False)
    size = len(chosen)
    weights = generator.multinomial(size, np.full(size, 1 / size), _RESAMPLES).astype(float)
    rhos, taus = _weighted_rho(x[chosen], y[chosen], weights), _weighted_tau(x[chosen], y[chosen], weights)
    return RankCorrelation(
        len(x),
        float(stats.spearmanr(x, y).statistic),
        *_ends(rhos),
        float(stats.kendalltau(x, y).statistic),
        *_ends(taus),
    )


def _weighted_rho(x: _Floats, y: _Floats, weights: _Floats) -> _Floats:
    """Spearman's rho of each resample, a row of `weights` saying how often it holds each pair."""
    deviations = []
    for values in (x, y):
        # mean ranks within the resample, but for a constant
        ranks = weights @ ((values[:, None] < values) + 0.5 * (values[:, None] == values))
        deviations.append(ranks - (weights * ranks).sum(1, keepdims=True) / len(x))
    a, b = deviations
    covariance = (weights * a * b).sum(1)
    return _ratio(covariance, (weights * a * a).sum(1) * (weights * b * b).sum(1))


def _weighted_tau(x: _Floats, y: _Floats, weights: _Floats) -> _Floats:
    """Kendall's tau-b of each resample."""
    a, b = np.sign(x[:, None] - x), np.sign(y[:, None] - y)

    def count(pairs: _Floats) -> _Floats:
        counted: _Floats = ((weights @ pairs) * weights).sum(1)
        return counted

    return _ratio(count(a * b), count(np.abs(a)) * count(np.abs(b)))


def _ratio(numerator: _Floats, squared: _Floats) -> _Floats:
    """Divide; a resample that does not vary shows no order."""
    ratio: _Floats = np.divide(numerator, np.sqrt(squared), out=np.zeros_like(numerator), where=squared > 0)
    return ratio


def _ends(values: _Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
