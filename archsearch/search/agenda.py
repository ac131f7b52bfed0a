"""What a study lacks next, from what its trials have come to.

Baselines come first, then the cells (each its one trial, or its search), then the confirmations of the
cells whose search is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archsearch.journal import TrialHistory
from archsearch.search.ranking import finished_trials, pareto_front, rank
from archsearch.study import Cell, StudyConfig

INFEASIBLE_PER_TRIAL = 20
"""A cell whose search proposes this many infeasible trials for each one asked for is given up."""


@dataclass(frozen=True)
class Need:
    """A trial that is still to be made.

    Attributes:
        phase: include, sweep, search or confirm.
        cell: Its cell; None for a baseline.
        name: The published network, for a baseline.
        confirms: The trial whose settings are confirmed.
    """

    phase: Literal["include", "sweep", "search", "confirm"]
    cell: Cell | None = None
    name: str = ""
    confirms: TrialHistory | None = None


class Agenda:
    """Knows how far each cell is; the trials alone decide, in whatever order they are noted.

    Args:
        study: The study.
        exhausted: Whether the sampler has nothing new left for a cell.
    """

    def __init__(self, study: StudyConfig, exhausted: Callable[[Cell], bool]) -> None:
        self._study = study
        self._exhausted = exhausted
        self._included: set[str] = set()
        self._cells = {_key(cell.values): _Progress(cell) for cell in study.cells()}

    def note(self, trial: TrialHistory) -> None:
        """Take a trial into account that was made, or has come to its end."""
        if trial.phase == "include":
            self._included.add(trial.name)
        elif (progress := self._cells.get(_key(trial.cell))) is not None:
            progress.note(trial)

    def next_need(self) -> Need | None:
        """What to make next, or None while (or because) nothing is left to make."""
        for name in self._study.include:
            if name not in self._included:
                return Need("include", name=name)
        cells = list(self._cells.values())
        if not self._study.search:
            return next((Need("sweep", progress.cell) for progress in cells if not progress.trials), None)
        open_cells = [p for p in cells if self._wants_more(p) and not self._exhausted(p.cell)]
        if open_cells:
            least = min(open_cells, key=lambda progress: len(progress.searched))
            return Need("search", least.cell)
        confirmations = (self._confirmation(progress) for progress in cells)
        return next((need for need in confirmations if need is not None), None)

    def _wants_more(self, progress: _Progress) -> bool:
        trials = self._study.trials or 0
        given_up = len(progress.infeasible) >= INFEASIBLE_PER_TRIAL * trials
        return len(progress.searched) - len(progress.infeasible) < trials and not given_up

    def _confirmation(self, progress: _Progress) -> Need | None:
        """The next of a cell's best trials (of several objectives: its front) without a confirmation."""
        if not self._study.confirmation_seeds or progress.under_way:
            return None
        objectives = self._study.objectives
        ranked = rank(finished_trials(progress.trials.values(), phases=["search"]), objectives)
        best = ranked[:1] if len(objectives) == 1 else pareto_front(ranked, objectives)
        confirmed = {_key(trial.values) for trial in progress.trials.values() if trial.phase == "confirm"}
        for trial in best:
            if _key(trial.values) not in confirmed:
                return Need("confirm", progress.cell, confirms=trial)
        return None


@dataclass
class _Progress:
    """The trials of one cell.

    Attributes:
        trials: By number, as last noted.
        searched: Numbers of those that its search proposed.
        infeasible: Numbers of those that do not count against `trials`.
        under_way: Numbers of those of the search that have not ended.
    """

    cell: Cell
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    searched: set[int] = field(default_factory=set)
    infeasible: set[int] = field(default_factory=set)
    under_way: set[int] = field(default_factory=set)

    def note(self, trial: TrialHistory) -> None:
        self.trials[trial.number] = trial
        if trial.phase == "search":
            self.searched.add(trial.number)
            self.under_way.add(trial.number)
            if trial.outcome is not None:
                self.under_way.discard(trial.number)
            if trial.outcome == "infeasible":
                self.infeasible.add(trial.number)


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)
