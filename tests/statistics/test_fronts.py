"""Fronts against brute force; the rule of one standard error on a worked example."""

from __future__ import annotations

import numpy as np

from archsearch.statistics.fronts import pareto_indices, within_one_standard_error


def test_a_front_of_three_losses_holds_what_nothing_beats() -> None:
    losses = np.random.default_rng(0).integers(0, 5, (60, 3))

    expected = [
        place
        for place, own in enumerate(losses)
        if not any((other <= own).all() and (other < own).any() for other in losses)
    ]
    assert pareto_indices([list(map(float, row)) for row in losses]) == expected


def test_equals_all_stay() -> None:
    assert pareto_indices([(1.0, 2.0), (1.0, 2.0), (2.0, 2.0)]) == [0, 1]


def test_within_one_standard_error_of_the_best() -> None:
    # best 0.10 with standard error 0.02: up to 0.12 is as good
    assert within_one_standard_error([0.15, 0.12, 0.10, 0.121], [0.5, 0.5, 0.02, 0.5]) == [1, 2]
    assert within_one_standard_error([0.1, 0.1], [0.0, 0.0]) == [0, 1]
