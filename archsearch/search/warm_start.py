"""What a search is told at its beginning of other studies: their best settings, and what came of all.

It is gathered once and kept in the journal, so that a study that goes on decides the same when the others
have grown or are gone. Results are told to the sampler where this study would have trained the same: the same
network, settings and data. Of others it could not be said what they are worth here; their best settings are
tried first nevertheless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archsearch.data import load_dataset
from archsearch.errors import StudyError
from archsearch.journal import Record, StudyHistory, TrialHistory
from archsearch.search.candidates import Candidate, examine
from archsearch.search.ranking import find_best, finished_trials
from archsearch.study import Dimension, StudyConfig, label_values

Values = dict[str, Any]

# Of a front the first so many by the first objective are tried.
_MOST_FIRST = 5
# Random ones and grids propose the same whatever is known.
_LEARNING = ("tpe", "nsga2", "gp", "evolution", "local_search")


@dataclass(frozen=True)
class CellStart:
    """What the search of one cell begins with.

    Attributes:
        first: Settings that are proposed before all others, by path; the sampler adds what is missing.
        known: Settings of which the values of the objectives are known.
    """

    first: Sequence[Values] = ()
    known: Sequence[tuple[Values, Sequence[float]]] = ()


class WarmStart:
    """What the searches of all cells begin with, as a study's journal has it.

    Args:
        records: Of the journal.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        found = next((record.fields for record in records if record.kind == "warm_start"), {})
        self._cells = {
            label_values(entry["cell"]): CellStart(
                entry["first"], [(told["values"], told["objectives"]) for told in entry["known"]]
            )
            for entry in found.get("cells", ())
        }

    def of(self, label: str) -> CellStart:
        """That of a cell, by its label."""
        return self._cells.get(label, CellStart())


@dataclass
class _Lent:
    """What one study gives to one cell."""

    first: list[Values] = field(default_factory=list)
    known: list[tuple[Values, TrialHistory]] = field(default_factory=list)
    unused: set[str] = field(default_factory=set)


def gather(study: StudyConfig, others: Mapping[str, StudyHistory]) -> tuple[dict[str, Any], list[str]]:
    """Gather what other studies know of what a study asks.

    Args:
        study: The study.
        others: By name.

    Returns:
        Fields of the ``warm_start`` record, and a sentence on each of them.

    Raises:
        StudyError: One has other objectives.
    """
    cells: list[dict[str, Any]] = [
        {"cell": dict(cell.values), "first": [], "known": []} for cell in study.cells()
    ]
    studies, sentences = [], []
    for name, history in others.items():
        objectives = history.header.get("objectives")
        if objectives != dict(study.objectives):
            raise StudyError(
                f"must have the objectives of this study, {_said(study.objectives)}",
                path="warm_start",
                got=name,
                fix=f"It has {_said(objectives or {})}.",
            )
        lent = [_lend(study, entry["cell"], history) for entry in cells]
        for entry, one in zip(cells, lent, strict=True):
            entry["first"] += [values for values in one.first if values not in entry["first"]]
            entry["known"] += [
                {"values": values, "objectives": list(trial.objective_values or ()), "study": name}
                | {"trial": trial.number}
                for values, trial in one.known
                if values not in [known["values"] for known in entry["known"]]
            ]
        studies.append({"study": name, "uid": history.header.get("uid")})
        sentences.append(_describe(study, name, history, lent))
    for entry in cells:
        # What is tried first will soon be known from here.
        entry["known"] = [known for known in entry["known"] if known["values"] not in entry["first"]]
    return {"studies": studies, "cells": cells}, sentences


def _said(objectives: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {direction}" for name, direction in objectives.items())


def _lend(study: StudyConfig, cell: Mapping[str, Any], history: StudyHistory) -> _Lent:
    """What the trials of another study that agree with a cell say of it."""
    lent = _Lent()
    finished = finished_trials(history.trials.values(), phases=["search", "sweep"])
    agreeing = [t for t in finished if all(_agrees(t, path, value) for path, value in cell.items())]
    for trial in find_best(agreeing, study.objectives)[:_MOST_FIRST]:
        values, unused = _fit(study, cell, trial)
        lent.unused |= unused
        if values:
            lent.first.append(values)
    for trial in agreeing if study.sampler.name in _LEARNING else ():
        values, unused = _fit(study, cell, trial)
        if not unused and _trains_the_same(examine(study, {**cell, **values}), trial):
            lent.known.append((values, trial))
    return lent


def _agrees(trial: TrialHistory, path: str, value: Any) -> bool:
    """Whether a trial has this value, or none, at a swept path."""
    found = _look_up(trial, path)
    return found is None or _same(found, value)


def _look_up(trial: TrialHistory, path: str) -> Any:
    """What a trial has at a path, as it was asked for or else as it came of it; None where it has nothing."""
    for asked in (trial.values, trial.cell):
        if path in asked:
            return asked[path]
    group, _, name = path.partition(".")
    resolved = {"architecture": trial.architecture, "training": trial.training, "data": trial.data}
    return resolved[group].get(name)


def _fit(study: StudyConfig, cell: Mapping[str, Any], trial: TrialHistory) -> tuple[Values, set[str]]:
    """What of a trial's settings lies in the search space, and the labels of what does not."""
    values: Values = {}
    unused = set()
    for dimension in study.search:
        if dimension.applies({**study.base, **cell, **values}):
            found, place = _find(dimension, _look_up(trial, dimension.path))
            if found:
                values[dimension.path] = place
            else:
                unused.add(dimension.label)
    return values, unused


def _find(dimension: Dimension, value: Any) -> tuple[bool, Any]:
    """Whether a value is one of a dimension's, and as which of them."""
    if dimension.kind == "choice":
        same = [choice for choice in dimension.choices if _same(choice, value)]
        return bool(same), same[0] if same else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not dimension.includes(value):
        return False, None
    return True, int(value) if dimension.kind == "integer" else float(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where a tuple is a list and true is not 1."""
    truths = isinstance(one, bool) == isinstance(other, bool)
    return truths and bool(json.loads(json.dumps(one)) == json.loads(json.dumps(other)))


def _trains_the_same(candidate: Candidate, trial: TrialHistory) -> bool:
    """Whether a study would come to a trial of another one by the same training, whatever its seed."""
    spec = candidate.spec
    return (
        spec is not None
        and not candidate.reason
        and spec.architecture.id == trial.architecture_id
        and spec.training.model_dump(mode="json") == dict(trial.training)
        and load_dataset(spec.data).fingerprint == trial.data_fingerprint
    )


def _describe(study: StudyConfig, name: str, history: StudyHistory, lent: Sequence[_Lent]) -> str:
    finished = finished_trials(history.trials.values(), phases=["search", "sweep"])
    first, known = sum(len(one.first) for one in lent), sum(len(one.known) for one in lent)
    unused = sorted(set().union(*(one.unused for one in lent)))
    sentences = [f"Warm start from {name}: {first} of its settings are tried first"]
    if study.sampler.name in _LEARNING:
        sentences[0] += f", and the sampler is told of {known} results of {len(finished)} trials."
        if known < len(finished):
            sentences.append(
                "The others were trained in another way than here, on other data, or do not fit."
            )
    else:
        sentences[0] += f"; {study.sampler.name} learns of no results."
    if unused:
        sentences.append(f"Of the best, {', '.join(unused)} lies outside of this search.")
    return " ".join(sentences)
