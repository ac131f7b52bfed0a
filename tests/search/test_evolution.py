"""Regularised evolution and local search on a space whose best is known."""

from __future__ import annotations

import statistics

import optuna
import pytest
from optuna.samplers import RandomSampler

from archsearch.search.evolution import EvolutionSampler, LocalSearchSampler

SIZE = 10


def by_themselves(params):
    return repr(sorted(params.items()))


def distance(trial):
    """From the best place of a plane of 10 x 10 x 10 places, of which each step of one gene is worth one."""
    place = [trial.suggest_int(name, 0, SIZE - 1) for name in "abc"]
    return float(sum(abs(value - best) for value, best in zip(place, (7, 2, 9), strict=True)))


def search(make, seed, trials=120, direction="minimize", objective=distance):
    study = optuna.create_study(direction=direction)
    for number in range(trials):
        study.sampler = make(1000 * seed + number)
        trial = study.ask()
        study.tell(trial, objective(trial))
    return study


def until_best(study):
    return next((t.number for t in study.trials if t.value == 0), len(study.trials))


def evolution(seed):
    return EvolutionSampler(key=by_themselves, seed=seed, population_size=20, sample_size=5)


def local_search(seed):
    return LocalSearchSampler(key=by_themselves, seed=seed, n_startup_trials=10)


@pytest.mark.parametrize("make", [evolution, local_search])
def test_on_a_smooth_space_the_best_is_found_where_random_search_finds_none(make):
    ours = [until_best(search(make, seed)) for seed in range(5)]
    at_random = [until_best(search(lambda s: RandomSampler(seed=s), seed)) for seed in range(5)]

    assert statistics.median(ours) < 100
    assert statistics.median(at_random) == 120


def test_it_climbs_where_the_objective_is_to_be_maximised():
    study = search(local_search, 0, direction="maximize", objective=lambda trial: -distance(trial))

    assert study.best_value == 0


@pytest.mark.parametrize("make", [evolution, local_search])
def test_nothing_is_proposed_twice(make):
    study = search(make, 1)
    later = [by_themselves(trial.params) for trial in study.trials[20:]]

    assert len(set(later)) == len(later)


@pytest.mark.parametrize("make", [evolution, local_search])
def test_a_proposal_follows_from_the_trials_and_the_seed(make):
    assert [t.params for t in search(make, 3, 40).trials] == [t.params for t in search(make, 3, 40).trials]


def test_the_oldest_die_and_not_the_worst():
    study = search(evolution, 2, trials=60)
    for trial in study.trials[20:]:
        before = [other for other in study.trials if other.number < trial.number][-20:]
        parents = [other for other in before if sum(other.params[n] != trial.params[n] for n in "abc") == 1]
        assert parents, trial.number


def test_local_search_changes_the_best_first():
    study = search(local_search, 4, trials=40)
    for trial in study.trials[10:]:
        before = [other for other in study.trials if other.number < trial.number]
        best = min(before, key=lambda other: other.value)
        near = sum(abs(best.params[name] - trial.params[name]) for name in "abc") == 1
        tried = {by_themselves(other.params) for other in before}
        steps = [{**best.params, n: best.params[n] + by} for n in "abc" for by in (-1, 1)]
        inside = [one for one in steps if all(0 <= value < SIZE for value in one.values())]
        assert near or all(by_themselves(one) in tried for one in inside)


def test_a_condition_that_a_new_gene_brings_is_drawn_at_random():
    def objective(trial):
        if trial.suggest_categorical("block", ["plain", "residual"]) == "plain":
            return 1.0
        return {"pad": 0.0, "conv": 0.5}[trial.suggest_categorical("shortcut", ["pad", "conv"])]

    study = search(local_search, 5, trials=16, objective=objective)

    assert study.best_value == 0
    assert all(("shortcut" in t.params) == (t.params["block"] == "residual") for t in study.trials)
