from __future__ import annotations

import pytest

from archsearch.architecture import resolve_architecture
from archsearch.errors import ArchitectureError
from archsearch.models import count_cost, solve_width
from tests.models.reference import reference_counts

CIFAR = (3, 32, 32), 10


@pytest.mark.parametrize(
    "fields", [{"depth": 8}, {"depth": 14, "block": "plain"}, {"depth": 8, "block": "highway"}]
)
@pytest.mark.parametrize("target", [9_000, 75_290, 101_010])
def test_no_other_width_comes_nearer(fields, target):
    architecture = resolve_architecture(fields)

    solved = solve_width(architecture, *CIFAR, parameters=target)

    # brute force over all widths, by pencil and paper
    reachable = []
    for width in (step / 16 + 1 / 64 for step in range(16, 16 * 40)):
        candidate = resolve_architecture({**fields, "width": width}).to_mapping()
        reachable.append(reference_counts(candidate, *CIFAR)[0])
    nearest = min(abs(count - target) for count in reachable)
    assert abs(count_cost(solved, *CIFAR).parameters - target) == nearest


@pytest.mark.parametrize("quantity", ["parameters", "macs"])
def test_the_budget_of_a_network_is_its_own_width(quantity):
    architecture = resolve_architecture({"depth": 14, "width": 24})
    target = getattr(count_cost(architecture, *CIFAR), quantity)

    solved = solve_width(resolve_architecture({"depth": 14}), *CIFAR, **{quantity: target})

    assert solved == architecture


def test_the_group_width_changes_along_with_the_width():
    architecture = resolve_architecture({"block": "grouped", "depth": 11})

    solved = solve_width(architecture, *CIFAR, parameters=300_000)

    assert solved.group_width / solved.width == pytest.approx(4 / 16)
    assert count_cost(solved, *CIFAR).parameters == pytest.approx(300_000, rel=0.05)


def test_a_stem_of_its_own_stays():
    architecture = resolve_architecture({"depth": 8, "stem_width": 5, "shortcut": "projection"})

    solved = solve_width(architecture, *CIFAR, parameters=50_000)

    assert solved.stem_width == 5
    assert solved.depth == 8


def test_a_growth_rate_is_whole():
    solved = solve_width(resolve_architecture({"block": "dense", "depth": 13}), *CIFAR, parameters=60_000)

    assert isinstance(solved.width, int)


@pytest.mark.parametrize("target", [10, 10**15])
def test_a_target_out_of_reach_is_an_error(target):
    with pytest.raises(ArchitectureError, match=r"match.parameters: must be within reach of some width"):
        solve_width(resolve_architecture({"depth": 8}), *CIFAR, parameters=target)


def test_one_target_must_be_named():
    with pytest.raises(ArchitectureError, match="must name one of parameters and macs"):
        solve_width(resolve_architecture({}), *CIFAR)
