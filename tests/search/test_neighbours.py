"""Neighbours of a set of values: one gene, one step, another training."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from archsearch.search.neighbours import list_neighbours


def by_themselves(params):
    return repr(sorted(params.items()))


def values(params, distributions, name, key=by_themselves):
    found = list_neighbours(params, distributions, key)
    return sorted(neighbour[name] for neighbour in found if neighbour[name] != params[name])


def test_choices_without_an_order_are_all_neighbours():
    distributions = {"block": CategoricalDistribution(["plain", "residual", "dense"])}

    assert values({"block": "residual"}, distributions, "block") == ["dense", "plain"]


def test_of_numbers_the_next_lower_and_the_next_higher_are():
    distributions = {"depth": CategoricalDistribution([32, 8, 20, 56])}

    assert values({"depth": 20}, distributions, "depth") == [8, 32]
    assert values({"depth": 56}, distributions, "depth") == [32]


def test_switches_are_no_numbers():
    distributions = {"bottleneck": CategoricalDistribution([False, True])}

    assert values({"bottleneck": False}, distributions, "bottleneck") == [True]


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (IntDistribution(1, 9), 4, [3, 5]),
        (IntDistribution(1, 9), 1, [2]),
        (IntDistribution(2, 20, step=6), 8, [2, 14]),
        (IntDistribution(0, 320), 100, [80, 120]),
        (FloatDistribution(0.0, 1.6), 0.5, [0.4, 0.6]),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.5, [0.25, 0.75]),
        (FloatDistribution(1.0, 2.0**16, log=True), 8.0, [4.0, 16.0]),
        (FloatDistribution(0.0, 1.6), 0.02, [0.0, 0.12]),
        (IntDistribution(16, 64, log=True), 16, [17]),
    ],
)
def test_ranges_step_down_and_up(distribution, value, expected):
    found = values({"x": value}, {"x": distribution}, "x")

    assert found == pytest.approx(expected)
    assert all(type(one) is type(value) for one in found)


def test_a_step_goes_on_to_what_trains_something_else():
    # Depths of basic blocks are 6n + 2; others build the nearest of them.
    def built(params):
        return str(round((params["depth"] - 2) / 6))

    assert values({"depth": 20}, {"depth": IntDistribution(8, 32)}, "depth", built) == [17, 23]


def test_two_that_train_the_same_are_one_neighbour():
    distributions = {"shortcut": CategoricalDistribution(["pad", "projection", "conv"])}

    def built(params):
        return "pad" if params["shortcut"] == "pad" else "other"

    assert len(list_neighbours({"shortcut": "pad"}, distributions, built)) == 1


def test_one_gene_changes_at_a_time():
    params = {"block": "plain", "depth": 20, "rate": 0.1}
    distributions = {
        "block": CategoricalDistribution(["plain", "residual"]),
        "depth": CategoricalDistribution([8, 20, 32]),
        "rate": FloatDistribution(0.01, 1.0, log=True),
    }

    found = list_neighbours(params, distributions, by_themselves)

    assert len(found) == 1 + 2 + 2
    assert all(sum(one[name] != params[name] for name in params) == 1 for one in found)
