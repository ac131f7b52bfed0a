"""Intervals against scipy, printed tables, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archsearch.statistics.intervals import mean_interval, share_interval


def test_below_ten_values_the_t_interval() -> None:
    values = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0]
    found = mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval()

    assert found.method == "t"
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert found.mean == pytest.approx(sum(values) / 9)


def test_from_ten_values_on_the_bootstrap_and_the_same_each_time() -> None:
    values = list(np.random.default_rng(3).gamma(2.0, size=30))
    found = mean_interval(values)
    plain = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(7)).confidence_interval

    assert found.method == "bootstrap"
    assert found == mean_interval(values)
    assert found.low == pytest.approx(plain.low, abs=0.06)
    assert found.high == pytest.approx(plain.high, abs=0.06)


def test_one_value_has_no_interval_and_equal_ones_an_empty_one() -> None:
    assert (mean_interval([0.25]).low, mean_interval([0.25]).method) == (None, "none")
    for count in (2, 12):
        found = mean_interval([0.25] * count)
        assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)


def test_all_but_one_value_equal_still_have_a_finite_interval() -> None:
    found = mean_interval([0.0] * 11 + [1.0])

    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("count", "least"), [(3, 0.93), (9, 0.93), (20, 0.90)])
def test_intervals_cover_the_mean_as_often_as_they_say(count: int, least: float) -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        found = mean_interval(list(generator.normal(0.3, 0.1, count)))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.3 <= found.high
    assert least <= inside / 1000 <= 0.97


@pytest.mark.parametrize(("wrong", "images"), [(0, 50), (7, 287), (150, 300), (10, 10)])
def test_a_share_has_wilsons_interval(wrong: int, images: int) -> None:
    expected = stats.binomtest(wrong, images).proportion_ci(method="wilson")

    low, high = share_interval(wrong / images, images)

    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
