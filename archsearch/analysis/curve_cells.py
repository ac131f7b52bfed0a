"""Which curve a trial belongs to, and which trial stands for a cell on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.journal import TrialHistory
from archsearch.search.ranking import Objectives, finished_trials, rank
from archsearch.study import label_values

DEPTH = "architecture.depth"
"""The path of the value in which the cells of a curve differ."""


def shared_values(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a cell has in common with the others of its curve."""
    return {path: value for path, value in cell.items() if path != DEPTH}


def label_curve(trial: TrialHistory) -> str:
    """Name the curve of a trial by what its cells share, by the block where that is nothing."""
    shared = shared_values(trial.cell)
    return label_values(shared) if shared else f"block={trial.architecture['block']}"


def find_answers(trials: Iterable[TrialHistory], objectives: Objectives) -> list[TrialHistory]:
    """Return what stands for each cell: its trial, or the confirmation of the best of its search.

    A search that has grown may have found a better one than was confirmed before; the newest confirmation is
    that of the best. Of several objectives a whole front is confirmed, of which the trial that ranks first
    stands for the cell. Where depth was searched, each depth stands for itself.

    Args:
        trials: Of a study, in the order of their numbers, those of its search among them.
        objectives: Of the study; of none that are known the newest confirmation is taken.

    Returns:
        One trial a cell, in the order of the cells' first ones.
    """
    known = list(trials)
    places = _rank_searched(known, objectives) if len(objectives) > 1 else {}
    last = len(known)
    found: dict[str, TrialHistory] = {}
    for trial in known:
        if trial.phase not in ("sweep", "confirm"):
            continue
        # a cell without a search has one trial, which nothing replaces
        place = {**trial.cell, DEPTH: trial.values.get(DEPTH, trial.cell.get(DEPTH))}
        key = str(trial.number) if trial.phase == "sweep" else _key(place)
        earlier = found.get(key)
        if earlier is None or places.get(_settings(trial), last) <= places.get(_settings(earlier), last):
            found[key] = trial
    return list(found.values())


def _rank_searched(trials: Iterable[TrialHistory], objectives: Objectives) -> dict[str, int]:
    """The place of each searched trial within its cell, by its settings; 0 is the best."""
    searched: dict[str, list[TrialHistory]] = {}
    for trial in finished_trials(trials, phases=["search"]):
        searched.setdefault(_key(trial.cell), []).append(trial)
    places: dict[str, int] = {}
    for some in searched.values():
        for place, trial in enumerate(rank(some, objectives)):
            places.setdefault(_settings(trial), place)
    return places


def _settings(trial: TrialHistory) -> str:
    return _key({**trial.cell, **trial.values})


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)
