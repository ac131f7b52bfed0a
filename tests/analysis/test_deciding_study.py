"""The sweep that would decide: a valid study that sweeps what was searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.analysis.deciding_study import write_deciding_study
from archsearch.study import parse_study

SPACES = Path(__file__).parents[2] / "search_spaces"

RANGE = """
name: ranged
data: digits
architecture: {block: residual}
search:
  architecture.depth: {low: 8, high: 56, step: 6}
trials: 10
sampler: tpe
prefilter: {score: macs, keep: 0.5}
seeds: 2
"""


@pytest.mark.parametrize("name", ["resnet_space", "densenet_space", "resnext_space"])
def test_a_search_over_depth_becomes_a_sweep_that_can_be_run(name: str) -> None:
    text = (SPACES / f"{name}.yaml").read_text(encoding="utf-8")
    searched = parse_study(text, name)

    study = parse_study(write_deciding_study(text, name), "sweep.yaml")

    before = {dimension.label: dimension for dimension in searched.search}
    swept = {dimension.label: dimension for dimension in study.sweep}
    assert study.name == f"{searched.name}-sweep"
    assert swept["depth"].choices == before["depth"].choices
    assert swept.keys() == {"depth", "block"} & before.keys()
    assert {dimension.label for dimension in study.search} == before.keys() - swept.keys()
    assert (study.trials, len(study.seeds)) == (searched.trials, 5)
    assert study.base == searched.base
    assert len(study.cells()) > 1


def test_of_a_range_a_few_valid_depths_and_no_search_is_left() -> None:
    study = parse_study(write_deciding_study(RANGE, "ranged.yaml"), "sweep.yaml")

    (depth,) = study.sweep
    assert depth.choices == (8, 14, 20, 32, 56)
    assert (study.search, study.trials, study.sampler.name) == ((), None, "tpe")


@pytest.mark.parametrize(
    ("network", "search", "depths"),
    [
        ("resnet20", "depth: {low: 8, high: 56, step: 6}", (8, 14, 20, 32, 56)),
        # 9n+2, in networks of bottlenecks
        ("preresnet164", "depth: {low: 11, high: 110, step: 9}", (11, 20, 38, 65, 110)),
        # 3n+4, of the block that is searched
        ("resnet20", "block: [dense]\n  depth: {low: 7, high: 40, step: 3}", (7, 10, 16, 25, 40)),
    ],
)
def test_depths_of_a_published_network_are_those_of_its_form(
    network: str, search: str, depths: tuple[int, ...]
) -> None:
    text = f"name: known\ndata: digits\narchitecture: {network}\nsearch:\n  {search}\ntrials: 9\nseeds: 2\n"

    study = parse_study(write_deciding_study(text, "known.yaml"), "sweep.yaml")

    swept = {dimension.label: dimension for dimension in study.sweep}
    assert swept["depth"].choices == depths
    assert study.base["architecture.layout"] == "cifar"
