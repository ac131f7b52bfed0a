"""Means and deviations against Python's own statistics module."""

from __future__ import annotations

import random
import statistics

import pytest

from archsearch.statistics.descriptive import mean_and_std


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
@pytest.mark.parametrize("offset", [0.0, -7.5, 1e9])
def test_mean_and_sample_deviation(count: int, offset: float) -> None:
    generator = random.Random(count)
    values = [offset + generator.gauss(0, 1) for _ in range(count)]

    mean, std = mean_and_std(values)

    assert mean == pytest.approx(statistics.mean(values), rel=1e-15)
    assert std == pytest.approx(statistics.stdev(values), rel=1e-6)


def test_equal_values_have_no_deviation_and_one_value_none_at_all() -> None:
    assert mean_and_std([0.1, 0.1, 0.1]) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-16))
    assert mean_and_std([0.25]) == (0.25, None)


def test_no_values_are_our_own_bug() -> None:
    with pytest.raises(AssertionError, match="a mean needs at least one value"):
        mean_and_std([])
