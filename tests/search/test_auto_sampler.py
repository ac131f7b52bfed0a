"""OptunaHub's AutoSampler, where it is installed; here a package in its place that fetches nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import optuna
import pytest

from archsearch.errors import StudyError
from archsearch.search import samplers
from archsearch.search.samplers import build_sampler


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    samplers._load_auto_sampler.cache_clear()
    yield
    samplers._load_auto_sampler.cache_clear()


def build() -> optuna.samplers.BaseSampler:
    return build_sampler("auto", {}, cell_seed=1, trial_seed=2, key=str)


def test_it_is_loaded_once_and_seeded_for_each_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load_module(name: str) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(AutoSampler=optuna.samplers.RandomSampler)

    monkeypatch.setitem(sys.modules, "optunahub", SimpleNamespace(load_module=load_module))

    values = []
    for _ in range(2):
        study = optuna.create_study(sampler=build())
        values.append(study.ask().suggest_float("x", 0, 1))

    assert values[0] == values[1]
    assert asked == ["samplers/auto_sampler"]


@pytest.mark.parametrize("installed", [False, True])
def test_where_it_cannot_be_had_the_study_is_refused(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_module(_: str) -> None:
        raise OSError("no route to host")

    package = SimpleNamespace(load_module=load_module) if installed else None
    monkeypatch.setitem(sys.modules, "optunahub", package)

    with pytest.raises(StudyError, match="cannot be had from OptunaHub") as refusal:
        build()
    assert "choose tpe" in str(refusal.value)
