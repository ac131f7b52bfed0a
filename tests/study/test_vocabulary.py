"""The torch-free tables of samplers and pruners against Optuna's own classes."""

from __future__ import annotations

import inspect

import optuna
import pytest

from archsearch.search.evolution import EvolutionSampler, LocalSearchSampler
from archsearch.study.vocabulary import FROM_PACKAGE, PRUNERS, SAMPLERS

CLASSES = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "grid": optuna.samplers.BruteForceSampler,
    "qmc": optuna.samplers.QMCSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "gp": optuna.samplers.GPSampler,
    "evolution": EvolutionSampler,
    "local_search": LocalSearchSampler,
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
}
# Scalars that Optuna takes but that are no question of a study, or that Optuna deprecates.
LEFT_OUT = {
    "seed",
    "consider_prior",
    "consider_magic_clip",
    "consider_endpoints",
    "prior_weight",
    "warn_independent_sampling",
    "warn_asynchronous_seeding",
    "avoid_premature_stop",
}


def test_every_name_has_a_class() -> None:
    assert {*SAMPLERS, *PRUNERS} - set(FROM_PACKAGE) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_options_are_those_that_the_class_takes(name: str) -> None:
    parameters = inspect.signature(CLASSES[name]).parameters
    scalars = {
        key
        for key, parameter in parameters.items()
        if any(word in str(parameter.annotation) for word in ("int", "float", "bool", "str"))
        and not any(word in str(parameter.annotation) for word in ("Callable", "Sampler", "Mutation"))
    }
    assert set((SAMPLERS | PRUNERS)[name]) == scalars - LEFT_OUT
