"""Against Optuna's own TPE: the same proposals, whatever has become of the trials before."""

from __future__ import annotations

import math
import random
import warnings
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from archsearch.search.column_tpe import ColumnTPESampler
from archsearch.search.samplers import hand_on

TRIALS = 80
MIXED = {"complete": 6, "pruned": 2, "infeasible": 1, "failed": 1}


def propose(trial: optuna.Trial) -> dict[str, Any]:
    block = trial.suggest_categorical("block", ["plain", "residual", "highway"])
    trial.suggest_categorical("depth", [8, 14, 20])
    trial.suggest_int("width", 4, 16)
    trial.suggest_float("learning_rate", 0.01, 0.5, log=True)
    trial.suggest_float("drop_path", 0, 0.5, step=0.1)
    if block == "residual":
        trial.suggest_categorical("shortcut", ["pad", "projection"])
    return dict(trial.params)


def end(study: optuna.Study, trial: optuna.Trial, generator: random.Random, mix: dict[str, int]) -> None:
    """Bring a trial to one of the ends; of few values, so that some tie."""
    (fate,) = generator.choices(list(mix), list(mix.values()))
    value = round(generator.random(), 1)
    if fate == "complete":
        trial.set_constraint("parameters.max", generator.choice([-1.0, 0.0, 0.5]))
        study.tell(trial, [value, 1 - value / 2][: len(study.directions)])
    elif fate == "failed":
        study.tell(trial, state=TrialState.FAIL)
    elif fate == "infeasible":
        trial.set_constraint("parameters.max", value)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        # Optuna takes reports for one objective only.
        for epoch in range(generator.randrange(4) if len(study.directions) == 1 else 0):
            trial.report(generator.choice([value, math.nan]), epoch + 1)
            trial.should_prune()
        study.tell(trial, state=TrialState.PRUNED)


def proposals(
    sampler: type[TPESampler],
    directions: list[str],
    options: dict[str, Any],
    mix: dict[str, int] | None = None,
    pruner: BasePruner | None = None,
) -> list[dict[str, Any]]:
    """What is proposed, one sampler a proposal, up to five trials under way and ending in any order."""
    study = optuna.create_study(study_name="a", directions=directions, pruner=pruner or NopPruner())
    generator, under_way, proposed = random.Random(0), [], []
    for number in range(TRIALS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            new = sampler(seed=number, **options)
        hand_on(study.sampler, new)
        study.sampler = new
        under_way.append(study.ask())
        proposed.append(propose(under_way[-1]))
        while len(under_way) > 4 or (under_way and generator.random() < 0.3):
            end(study, under_way.pop(generator.randrange(len(under_way))), generator, mix or MIXED)
    return proposed


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"multivariate": False},
        {"group": True},
        {"constant_liar": False},
        {"n_startup_trials": 3, "n_ei_candidates": 5},
    ],
    ids=str,
)
def test_proposals_are_those_of_optunas_own_sampler(direction: str, options: dict[str, Any]) -> None:
    expected = proposals(TPESampler, [direction], options)
    assert proposals(ColumnTPESampler, [direction], options) == expected


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("common", ["pruned", "infeasible"])
def test_also_where_hardly_any_is_complete(direction: str, common: str) -> None:
    mix = {"complete": 1, common: 40}
    expected = proposals(TPESampler, [direction], {}, mix)
    assert proposals(ColumnTPESampler, [direction], {}, mix) == expected


def test_also_under_hyperband() -> None:
    pruner = HyperbandPruner(max_resource=9)
    expected = proposals(TPESampler, ["minimize"], {}, pruner=pruner)
    assert proposals(ColumnTPESampler, ["minimize"], {}, pruner=pruner) == expected


def test_with_several_objectives_too() -> None:
    directions = ["minimize", "maximize"]
    assert proposals(ColumnTPESampler, directions, {}) == proposals(TPESampler, directions, {})


def test_each_finished_trial_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    constraints = optuna.trial.FrozenTrial.constraints.fget
    monkeypatch.setattr(
        optuna.trial.FrozenTrial,
        "constraints",
        property(lambda trial: read.append(trial.number) or constraints(trial)),
    )
    proposals(ColumnTPESampler, ["minimize"], {})
    assert len(read) == len(set(read)) > TRIALS / 2
