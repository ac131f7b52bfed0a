"""Power against published numbers and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archsearch.statistics.power import (
    detection_power,
    seeds_to_detect,
    seeds_to_equate,
    smallest_detectable,
)


def test_cohens_table() -> None:
    # Cohen 1988, table 2.4.1: 64 a group for d = 0.5, 26 for d = 0.8, two-sided 5 %, power 80 %
    assert detection_power(0.5, 1, 64) == pytest.approx(0.8015, abs=0.0005)
    assert detection_power(0.8, 1, 26) == pytest.approx(0.8075, abs=0.001)
    assert smallest_detectable(1, 64) == pytest.approx(0.4990, abs=0.001)


def test_no_difference_is_found_as_often_as_the_level_says() -> None:
    assert detection_power(0.0, 1, 5) == pytest.approx(0.05)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_smallest_detectable_difference_is_found_four_times_in_five(count: int) -> None:
    generator = np.random.default_rng(0)
    change = smallest_detectable(0.01, count)
    one = generator.normal(0, 0.01, (4000, count))
    two = generator.normal(change, 0.01, (4000, count))

    assert np.mean(stats.ttest_ind(one, two, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("level", [0.025 / 200, 0.025 / 10_000])
def test_at_a_tiny_level_two_values_a_side_find_what_is_hundreds_of_times_their_spread(level: float) -> None:
    change = smallest_detectable(0.01, 2, level=level)

    assert change > 1
    assert detection_power(change, 0.01, 2, level=level) == pytest.approx(0.8)


def test_where_nothing_varies_everything_is_found() -> None:
    assert smallest_detectable(0, 3) == 0
    assert (detection_power(0.1, 0, 3), detection_power(0, 0, 3)) == (1, 0)
    assert seeds_to_detect(0.1, (0, 0)) == 2


def test_so_many_seeds_find_the_difference_and_show_equality() -> None:
    generator = np.random.default_rng(0)
    deviations = (0.005, 0.02)
    variances = (deviations[0] ** 2, deviations[1] ** 2)

    count = seeds_to_detect(0.03, variances)
    assert count is not None
    one = generator.normal(0, deviations[0], (4000, count))
    two = generator.normal(0.03, deviations[1], (4000, count))
    found = stats.ttest_ind(two, one, axis=1, equal_var=False, alternative="greater").pvalue <= 0.05
    assert 0.78 < np.mean(found) < 0.93

    count = seeds_to_equate(0.02, variances)
    assert count is not None
    one, two = (generator.normal(0, deviation, (4000, count)) for deviation in deviations)
    shown = np.maximum(
        stats.ttest_ind(two + 0.02, one, axis=1, equal_var=False, alternative="greater").pvalue,
        stats.ttest_ind(two - 0.02, one, axis=1, equal_var=False, alternative="less").pvalue,
    )
    assert 0.75 < np.mean(shown <= 0.05) < 0.93


def test_hopeless_is_said() -> None:
    assert seeds_to_equate(0.001, (1.0, 1.0)) is None
