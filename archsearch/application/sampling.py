"""A look at the networks that a study may build, before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from archsearch.architecture import Architecture
from archsearch.errors import InputError
from archsearch.search.candidates import examine
from archsearch.study import StudyConfig, TrialSpec, sample_search

_TRAININGS_LOOKED_AT = 32


def sample_values(study: StudyConfig, limit: int) -> Iterator[Mapping[str, Any]]:
    """Values of each cell with all combinations of its search, or `limit` samples where there are more."""
    for cell in study.cells():
        for values in sample_search(study.space, cell.values, limit):
            yield {**cell.values, **values}


def sample_specs(study: StudyConfig) -> list[TrialSpec]:
    """Different trainings of all cells, to decide what suits them on the whole."""
    per_cell = max(1, _TRAININGS_LOOKED_AT // len(study.cells()))
    found: dict[Any, TrialSpec] = {}
    for values in sample_values(study, per_cell):
        spec = _resolve(study, values)
        if spec is not None:
            found[spec.architecture.id, spec.training.batch_size] = spec
    return list(found.values())


def list_architectures(specs: Iterable[TrialSpec]) -> list[Architecture]:
    """The different networks among some trainings."""
    return list({spec.architecture.id: spec.architecture for spec in specs}.values())


def _resolve(study: StudyConfig, values: Mapping[str, Any]) -> TrialSpec | None:
    """Return what some values stand for; None where that is not feasible."""
    if study.match is None:
        candidate = examine(study, values)
        return None if candidate.reason else candidate.spec
    try:
        # To solve the width of each takes seconds; matched or not, they compare with each other alike.
        return study.resolve(values)
    except InputError:
        return None
