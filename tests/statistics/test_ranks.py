"""Rank correlations against scipy's, their resamples too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archsearch.statistics import ranks
from archsearch.statistics.ranks import FEWEST_RANKED, correlate_ranks


def sample(size: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two quantities that go together, with ties."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 20, size).astype(float)
    return x, np.round(x + noise * generator.normal(size=size))


def test_both_are_scipys() -> None:
    x, y = sample(60, 8.0)
    found = correlate_ranks(x, y)

    assert found is not None
    assert found.count == 60
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.rho_low < found.rho < found.rho_high
    assert found.tau_low < found.tau < found.tau_high


def test_a_resample_is_what_scipy_finds_in_it() -> None:
    x, y = sample(25, 5.0)
    weights = np.random.default_rng(1).multinomial(25, np.full(25, 1 / 25), 20).astype(float)
    rhos, taus = ranks._weighted_rho(x, y, weights), ranks._weighted_tau(x, y, weights)

    for row, rho, tau in zip(weights.astype(int), rhos, taus, strict=True):
        a, b = np.repeat(x, row), np.repeat(y, row)
        assert rho == pytest.approx(stats.spearmanr(a, b).statistic)
        assert tau == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_interval_covers_the_truth_about_as_often_as_promised() -> None:
    # of two normal quantities: rho = 6/pi asin(r/2), tau = 2/pi asin(r)
    r, covered = 0.6, np.zeros(2)
    truths = 6 / np.pi * np.arcsin(r / 2), 2 / np.pi * np.arcsin(r)
    generator = np.random.default_rng(0)
    for _ in range(100):
        x, y = generator.multivariate_normal([0, 0], [[1, r], [r, 1]], 30).T
        found = correlate_ranks(x, y)
        assert found is not None
        covered += (
            found.rho_low <= truths[0] <= found.rho_high,
            found.tau_low <= truths[1] <= found.tau_high,
        )

    assert (covered >= 0.88 * 100).all()
    assert (covered < 100).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_is_plus_or_minus_one(sign: int) -> None:
    found = correlate_ranks(range(12), [sign * value**3 for value in range(12)])

    assert found is not None
    assert (found.rho, found.tau) == (pytest.approx(sign), pytest.approx(sign))
    assert found.rho_low == pytest.approx(sign)
    assert found.tau_high == pytest.approx(sign)


def test_few_pairs_or_equal_values_show_nothing() -> None:
    few = range(FEWEST_RANKED - 1)
    assert correlate_ranks(few, few) is None
    assert correlate_ranks(range(20), [1.0] * 20) is None
    assert correlate_ranks([1.0] * 20, range(20)) is None


def test_many_pairs_are_resampled_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_MOST_RESAMPLED", 50)
    x, y = sample(300, 8.0)
    found = correlate_ranks(x, y)

    assert found is not None
    assert found.count == 300
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.rho_low < found.rho_high
