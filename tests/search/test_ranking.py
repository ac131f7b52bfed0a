"""Which trials are best, against brute force."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from archsearch.journal import TrialHistory
from archsearch.search.ranking import pareto_front, rank, reported_trials
from tests.analysis.trials import trial

TWO = {"val_accuracy": "maximize", "macs": "minimize"}


def valued(number: int, *values: float, phase: str = "search", outcome: str = "complete") -> TrialHistory:
    return replace(trial(number, 8, {}, phase=phase, outcome=outcome), objective_values=values)


@pytest.mark.parametrize(("direction", "order"), [("maximize", [2, 0, 1]), ("minimize", [1, 0, 2])])
def test_one_objective_gives_one_order(direction: str, order: list[int]) -> None:
    trials = [valued(0, 0.5), valued(1, 0.25), valued(2, 0.75)]

    assert [t.number for t in rank(trials, {"objective": direction})] == order


def test_equals_stand_in_the_order_of_their_numbers() -> None:
    assert [t.number for t in rank([valued(n, 0.5) for n in range(4)], {"o": "minimize"})] == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_a_front_holds_whatever_nothing_beats(seed: int) -> None:
    generator = random.Random(seed)
    trials = [valued(n, generator.randint(0, 5), generator.randint(0, 5)) for n in range(20)]

    def beaten(own: tuple[float, float]) -> bool:
        others = (t.objective_values for t in trials)
        return any(o[0] >= own[0] and o[1] <= own[1] and o != own for o in others)

    expected = {t.number for t in trials if not beaten(t.objective_values)}
    assert {t.number for t in pareto_front(trials, TWO)} == expected


def test_fronts_follow_each_other_the_first_objective_ordering_each() -> None:
    trials = [valued(0, 0.9, 100), valued(1, 0.8, 50), valued(2, 0.85, 120), valued(3, 0.7, 60)]

    assert [t.number for t in rank(trials, TWO)] == [0, 1, 2, 3]


def test_confirmations_replace_what_the_search_saw_and_baselines_stay() -> None:
    searched = [valued(0, 0.9), valued(1, 0.8)]
    baseline, confirmed = valued(2, 0.7, phase="include"), valued(3, 0.75, phase="confirm")

    assert [t.number for t in reported_trials([*searched, baseline])] == [0, 1, 2]
    assert [t.number for t in reported_trials([*searched, baseline, confirmed])] == [2, 3]


def test_a_repeated_trial_counts_for_its_cell_and_not_twice_in_a_search() -> None:
    searched = [valued(0, 0.9), valued(1, 0.9, outcome="repeated")]
    swept = [valued(0, 0.9, phase="sweep"), valued(1, 0.9, phase="sweep", outcome="repeated")]

    assert [t.number for t in reported_trials(searched)] == [0]
    assert [t.number for t in reported_trials(swept)] == [0, 1]
