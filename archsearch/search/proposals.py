"""Between a study's dimensions and Optuna's distributions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from archsearch.study import Dimension


def suggest(trial: optuna.Trial, dimensions: Sequence[Dimension], known: Mapping[str, Any]) -> dict[str, Any]:
    """Ask Optuna for each dimension that applies.

    Args:
        trial: The trial that is being proposed.
        dimensions: The search, each behind those its conditions name.
        known: Fixed and swept values by path, for conditions on them.

    Returns:
        Sampled values by path.
    """
    values: dict[str, Any] = {}
    for dimension in dimensions:
        if not dimension.applies({**known, **values}):
            continue
        values[dimension.path] = _suggest_one(trial, dimension)
    return values


def read_params(
    params: Mapping[str, Any], dimensions: Sequence[Dimension], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Turn Optuna's values back into values by path; a dimension that does not apply is left out."""
    values: dict[str, Any] = {}
    for dimension in dimensions:
        if dimension.label in params and dimension.applies({**known, **values}):
            value = params[dimension.label]
            by_label = {_label(choice): choice for choice in dimension.choices}
            values[dimension.path] = by_label[value] if dimension.kind == "choice" else value
    return values


def describe_known(
    dimensions: Sequence[Dimension], known: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Describe values that were not asked of Optuna as it would have them: parameters and distributions.

    Args:
        dimensions: The search, each behind those its conditions name.
        known: Fixed and swept values by path.
        values: By path, of the dimensions that apply; of those that are missing nothing is said.
    """
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    for dimension in dimensions:
        if dimension.path in values and dimension.applies({**known, **values}):
            value = values[dimension.path]
            params[dimension.label] = _label(value) if dimension.kind == "choice" else value
            distributions[dimension.label] = _distribution(dimension)
    return params, distributions


def _distribution(dimension: Dimension) -> BaseDistribution:
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.kind == "choice":
        return CategoricalDistribution([_label(value) for value in dimension.choices])
    if dimension.kind == "integer":
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(low, high, log=dimension.log, step=step)


def _suggest_one(trial: optuna.Trial, dimension: Dimension) -> Any:
    name = dimension.label
    if dimension.kind == "choice":
        # Optuna stores scalars: other choices (blocks per stage, say) go under their JSON text.
        by_label = {_label(value): value for value in dimension.choices}
        return by_label[trial.suggest_categorical(name, list(by_label))]
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.kind == "integer":
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=dimension.log)
    return trial.suggest_float(name, low, high, step=step, log=dimension.log)


def _label(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else json.dumps(value)
