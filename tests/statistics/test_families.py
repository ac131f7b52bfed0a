"""Holm's correction, on worked examples and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.statistics.families import adjust_holm


def test_a_worked_example() -> None:
    # in order: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04, which must not be below the one before
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_smaller_p_never_becomes_the_larger_one_and_none_exceeds_1() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        p_values = list(generator.random(generator.integers(1, 12)) ** 3)
        adjusted = adjust_holm(p_values)
        assert all(before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True))
        order = np.argsort(p_values, kind="stable")
        assert list(np.array(adjusted)[order]) == sorted(adjusted)


def test_of_nothing_nothing() -> None:
    assert adjust_holm([]) == []


def test_a_family_of_true_nulls_errs_once_in_twenty() -> None:
    p_values = np.random.default_rng(1).random((4000, 6))
    wrong = np.mean([min(adjust_holm(list(family))) <= 0.05 for family in p_values])

    assert 0.04 < wrong < 0.06
