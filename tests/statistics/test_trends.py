"""Slopes against numpy's least squares; tests of order against their null, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from archsearch.statistics.samples import Sample
from archsearch.statistics.trends import examine_order, rank_correlation, slope, slope_difference

DEPTHS = [8.0, 20.0, 32.0, 56.0]


def measured(
    means: list[float], spreads: list[float], seeds: int, generator: np.random.Generator
) -> list[Sample]:
    return [
        Sample.of(list(generator.normal(mean, spread, seeds)))
        for mean, spread in zip(means, spreads, strict=True)
    ]


def test_the_slope_is_that_of_the_least_squares_line_per_doubling() -> None:
    means = [0.01, 0.04, 0.03, 0.2]
    expected = np.polyfit(np.log2(DEPTHS), means, 1)[0]

    assert slope([Sample(3, mean, 0.1) for mean in means], DEPTHS).estimate == pytest.approx(expected)


def test_a_straight_line_is_found_whole() -> None:
    samples = [Sample(3, 0.1 * math.log2(depth), 1e-6) for depth in (8, 16, 32)]
    whole, end = examine_order(samples, [8, 16, 32], "rise")

    assert whole.slope.estimate == pytest.approx(0.1)
    assert (whole.change, whole.total.estimate) == (pytest.approx(0.2), pytest.approx(0.2))
    assert (whole.first, whole.last, end.first, end.last) == (0, 2, 1, 2)


def test_two_depths_are_compared_as_by_welch() -> None:
    one, two = [0.1, 0.12, 0.13], [0.14, 0.18, 0.16]
    (only,) = examine_order([Sample.of(one), Sample.of(two)], [8, 20], "rise")
    expected = stats.ttest_ind(two, one, equal_var=False, alternative="greater").pvalue

    assert only.p == only.p_adjusted == pytest.approx(expected)
    (beyond,) = examine_order([Sample.of(one), Sample.of(two)], [8, 20], "rise", margin=0.02)
    expected = stats.ttest_ind(np.array(two) - 0.02, one, equal_var=False, alternative="greater").pvalue
    assert beyond.p == pytest.approx(expected)


def test_a_fall_is_a_rise_seen_from_the_other_end() -> None:
    samples = [Sample(3, mean, 0.001) for mean in (0.3, 0.1, 0.2, 0.4)]
    mirrored = [Sample(3, s.mean, s.variance) for s in reversed(samples)]

    falls = examine_order(samples, DEPTHS, "fall")
    rises = examine_order(mirrored, [1 / depth for depth in reversed(DEPTHS)], "rise")

    assert [fall.p for fall in falls] == pytest.approx([rise.p for rise in rises])


def test_a_rise_behind_an_improvement_is_found_at_the_deeper_end() -> None:
    samples = measured([0.30, 0.02, 0.05, 0.15], [0.005] * 4, 4, np.random.default_rng(0))
    whole, *ends = examine_order(samples, DEPTHS, "rise")

    assert whole.p > 0.5
    assert min(end.p_adjusted for end in ends) < 0.01


@pytest.mark.parametrize("direction", ["rise", "fall"])
@pytest.mark.parametrize("spreads", [[0.02] * 4, [0.002, 0.01, 0.02, 0.05]])
def test_equal_means_rise_or_fall_once_in_twenty(direction: str, spreads: list[float]) -> None:
    generator = np.random.default_rng(2)
    wrong = 0
    for _ in range(1500):
        samples = measured([0.1] * 4, spreads, 3, generator)
        wrong += min(t.p_adjusted for t in examine_order(samples, DEPTHS, direction)) <= 0.05  # type: ignore[arg-type]
    assert wrong / 1500 < 0.065


def test_two_slopes_differ_by_their_difference() -> None:
    steep = [Sample(3, 0.1 * place, 0.0001) for place in range(4)]
    flat = [Sample(3, 0.5, 0.0001)] * 4
    change = slope_difference((steep, DEPTHS), (flat, DEPTHS))

    assert change.estimate == pytest.approx(-slope(steep, DEPTHS).estimate)
    assert change.p_two_sided < 1e-6
    assert slope_difference((steep, DEPTHS), (steep, DEPTHS)).p_two_sided == 1


def test_rank_correlation_is_kendalls_and_defined_where_nothing_differs() -> None:
    values = [(0.1, 0.2), (0.2, 0.3), (0.4, 0.35)]
    tau, p = rank_correlation([8, 20, 32], values)
    expected = stats.kendalltau([8, 8, 20, 20, 32, 32], [0.1, 0.2, 0.2, 0.3, 0.4, 0.35])

    assert (tau, p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert rank_correlation([8, 20], [(0.1, 0.1), (0.1, 0.1)]) == (0.0, 1.0)
