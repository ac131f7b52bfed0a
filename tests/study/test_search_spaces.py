from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ArchitectureError
from archsearch.study import Dimension, StudyConfig, load_study

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


def draw(study: StudyConfig, cell: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for dimension in study.search:
        if dimension.applies({**study.base, **cell, **values}):
            values[dimension.path] = draw_one(dimension, generator)
    return values


def draw_one(dimension: Dimension, generator: random.Random) -> Any:
    if dimension.count == float("inf"):
        return generator.uniform(dimension.low, dimension.high)
    return generator.choice(list(dimension.values()))


def test_there_are_eleven() -> None:
    assert len(SPACES) == 11


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_cell_and_sample_of_a_shipped_study_resolves(path: Path) -> None:
    study = load_study(path)
    generator = random.Random(0)
    for cell in study.cells():
        for _ in range(50):
            values = {**cell.values, **draw(study, dict(cell.values), generator)}
            spec = study.resolve(values)
            assert spec.architecture.depth == values.get("architecture.depth", spec.architecture.depth) or (
                spec.requested_depth == values["architecture.depth"]
            )


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_shipped_study_names_the_schema_and_says_what_it_asks(path: Path) -> None:
    first, second, third = path.read_text().splitlines()[:3]
    assert first.startswith("# yaml-language-server: $schema=")
    assert second == "#"
    assert third.startswith("# ")


def test_degradation_compares_the_same_depths_in_both_blocks() -> None:
    study = load_study(next(path for path in SPACES if path.stem == "degradation"))
    curves = {}
    for cell in study.cells():
        curves.setdefault(tuple(cell.curve.items()), []).append(cell.values["architecture.depth"])
    assert list(curves.values()) == [[8, 20, 32, 56]] * 2
    assert len(study.seeds) == 3


def test_infeasible_samples_are_the_architectures_own_errors() -> None:
    study = load_study(next(path for path in SPACES if path.stem == "resnext_space"))
    values = {"architecture.block": "grouped", "architecture.width": 8, "architecture.cardinality": 5}
    with pytest.raises(ArchitectureError, match="must divide twice the width"):
        study.resolve(values)
