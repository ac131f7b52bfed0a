"""Differences of two samples, against scipy and worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from archsearch.statistics.comparing import (
    compare_samples,
    equivalence_p,
    hedges_correction,
)
from archsearch.statistics.contrasts import contrast, difference
from archsearch.statistics.samples import Sample

SHALLOW = [0.012, 0.017, 0.010]
DEEP = [0.041, 0.094, 0.181, 0.120]


def samples(one: list[float] = SHALLOW, two: list[float] = DEEP) -> tuple[Sample, Sample]:
    return Sample.of(one), Sample.of(two)


def test_welchs_test_is_scipys() -> None:
    expected = stats.ttest_ind(DEEP, SHALLOW, equal_var=False)
    interval = expected.confidence_interval()

    found = compare_samples(*samples())

    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(expected.df)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.difference == pytest.approx(np.mean(DEEP) - np.mean(SHALLOW))


def test_one_sided_probabilities_are_scipys() -> None:
    change = difference(*samples())

    for bound in (0.0, 0.05, 0.2):
        above = stats.ttest_ind(
            np.array(DEEP) - bound, SHALLOW, equal_var=False, alternative="greater"
        ).pvalue
        assert change.p_above(bound) == pytest.approx(above)
        assert change.p_below(bound) == pytest.approx(1 - above)


def test_hedges_g_of_equal_counts_worked_by_hand() -> None:
    # means 2 and 5, variances 1 and 1: d = 3; J(4) = gamma(2) / (sqrt(2) gamma(1.5)) = 0.797885
    found = compare_samples(*samples([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))

    assert found.effect_size == pytest.approx(3 * 0.7978845608)


def test_hedges_correction_is_near_its_textbook_approximation() -> None:
    for df in (4, 8, 20, 100):
        assert hedges_correction(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=0.005)
    assert hedges_correction(1) == 0


def test_equivalence_is_two_one_sided_tests() -> None:
    one, two = [0.010, 0.012, 0.011, 0.013], [0.012, 0.013, 0.011, 0.014]
    lower = stats.ttest_ind(np.array(two) + 0.01, one, equal_var=False, alternative="greater").pvalue
    upper = stats.ttest_ind(np.array(two) - 0.01, one, equal_var=False, alternative="less").pvalue

    assert equivalence_p(difference(*samples(one, two)), 0.01) == pytest.approx(max(lower, upper))
    # more data that differ by more than the margin make equivalence less likely, not more
    assert equivalence_p(difference(*samples([0.0, 0.001] * 9, [0.02, 0.021] * 9)), 0.01) > 0.99


def test_where_nothing_varies_probabilities_are_0_or_1() -> None:
    same, other = difference(*samples([0.1, 0.1], [0.1, 0.1])), difference(*samples([0.1, 0.1], [0.2, 0.2]))

    assert (same.p_two_sided, same.p_above(), same.p_below()) == (1, 1, 1)
    assert (other.p_two_sided, other.p_above(), other.p_below()) == (0, 0, 1)
    assert other.interval() == (pytest.approx(0.1), pytest.approx(0.1))
    assert equivalence_p(same, 0.01) == 0
    assert compare_samples(*samples([0.1, 0.1], [0.2, 0.2])).effect_size is None


def test_equal_readings_differ_by_rounding() -> None:
    """Of 100 images, two networks with 3 errors each did not have exactly the same chance of an error."""
    one, two = (Sample.of([value] * 3, resolution=0.01) for value in (0.03, 0.04))

    assert math.sqrt(one.variance) == pytest.approx(0.01 / math.sqrt(12))
    assert 0 < difference(one, two).p_above() < 0.05


def test_a_known_variance_widens_without_costing_degrees_of_freedom() -> None:
    plain = difference(*samples())
    one = Sample.of(SHALLOW, known_variance=0.01)
    wider = difference(one, Sample.of(DEEP))

    assert wider.standard_error == pytest.approx(math.sqrt(plain.standard_error**2 + 0.01))
    assert wider.df > plain.df
    assert difference(Sample(3, 0.1, 0.0, 0.01), Sample(3, 0.2, 0.0)).p_above() == pytest.approx(
        stats.norm.sf(0.1 / 0.1)
    )


def test_a_weighted_sum_has_satterthwaites_degrees_of_freedom() -> None:
    # variances of means 1, 2 and 3 with weights 1, -2, 1: 1 + 8 + 3 = 12; 144 / (1/2 + 64/3 + 9/4) = 5.979
    found = contrast([Sample(3, 5.0, 3.0), Sample(4, 1.0, 8.0), Sample(5, 2.0, 15.0)], [1, -2, 1])

    assert found.estimate == 5
    assert found.standard_error == pytest.approx(math.sqrt(12))
    assert found.df == pytest.approx(144 / (1 / 2 + 64 / 3 + 9 / 4))


@pytest.mark.parametrize("values", [[0.5], [0.1, math.nan], [0.1, math.inf]])
def test_what_has_no_spread_is_no_sample(values: list[float]) -> None:
    with pytest.raises(AssertionError, match=r"at least two values|an outcome, and no value"):
        Sample.of(values)
