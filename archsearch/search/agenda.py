"""What a study lacks next, from what its trials have come to.

Baselines come first, then the cells (each its one trial, or its search), then the confirmations of the cells
whose search is over. Of the cells those come first whose networks probably take longest: a long training that
starts last leaves all workers but one idle (Graham 1969, Bounds on Multiprocessing Timing Anomalies). Where a
budget may end the study before all are trained, they come as they are written: it is to see many of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from archsearch.journal import TrialHistory
from archsearch.search.ranking import find_best, finished_trials
from archsearch.study import Cell, StudyConfig
from archsearch.study.settings import BudgetSettings

INFEASIBLE_PER_TRIAL = 20
"""A cell whose search proposes this many infeasible trials for each one asked for is given up."""

FRUITLESS = 50
"""Without a number of trials, a cell's search is over after so many proposals in a row that train nothing."""

OPEN_TRIALS = 200
"""Stands for the trials to come of a search that its budget alone ends."""


@dataclass(frozen=True)
class Need:
    """A trial that is still to be made, or several of a kind.

    Attributes:
        phase: include, sweep, search or confirm.
        cell: Its cell; None for a baseline.
        name: The published network, for a baseline.
        confirms: The trial whose settings are confirmed; None while it is not known yet.
        trials: How many.
    """

    phase: Literal["include", "sweep", "search", "confirm"]
    cell: Cell | None = None
    name: str = ""
    confirms: TrialHistory | None = None
    trials: int = 1


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
        cells: Sequence[Cell] = study.cells()
        if study.budget == BudgetSettings():
            cells = sorted(cells, key=lambda cell: _work({**study.base, **cell.values}), reverse=True)
        self._cells = {_key(cell.values): _Progress(cell) for cell in cells}

    def note(self, trial: TrialHistory) -> None:
        """Take a trial into account that was made, or has come to its end."""
        if trial.phase == "include":
            self._included.add(trial.name)
        elif (progress := self._cells.get(_key(trial.cell))) is not None:
            progress.note(trial)

    def count_searched(self, cell: Cell) -> int:
        """How many trials a cell's search has proposed."""
        return len(self._cells[_key(cell.values)].searched)

    def is_open(self, cell: Cell) -> bool:
        """Whether a cell's search has trials to be made."""
        return self._wants_more(self._cells[_key(cell.values)]) and not self._exhausted(cell)

    def next_need(self, is_closed: Callable[[Cell], bool] = lambda _: False) -> Need | None:
        """What to make next, or None while (or because) nothing is left to make.

        Args:
            is_closed: Whether a cell's search has nothing left to spend; it counts as over then.
        """
        for name in self._study.include:
            if name not in self._included:
                return Need("include", name=name)
        cells = list(self._cells.values())
        if not self._study.search:
            return next((Need("sweep", progress.cell) for progress in cells if not progress.trials), None)
        open_cells = [progress for progress in cells if self.is_open(progress.cell)]
        for progress in sorted(open_cells, key=lambda progress: len(progress.searched)):
            if not is_closed(progress.cell):
                return Need("search", progress.cell)
        confirmations = (self._confirmation(progress) for progress in cells)
        return next((need for need in confirmations if need is not None), None)

    def outstanding(self) -> list[Need]:
        """What is still to be made, in about the order in which it will be.

        A search that goes on may find another best trial, or front, than what is given as `confirms`.
        """
        found = [Need("include", name=n) for n in self._study.include if n not in self._included]
        if not self._study.search:
            cells = self._cells.values()
            return found + [Need("sweep", progress.cell) for progress in cells if not progress.trials]
        confirmations = []
        for progress in self._cells.values():
            searching = self.is_open(progress.cell)
            if searching:
                trials = OPEN_TRIALS
                if self._study.trials is not None:
                    trials = self._study.trials - len(progress.searched) + len(progress.infeasible)
                found.append(Need("search", progress.cell, trials=trials))
            if self._study.confirmation_seeds:
                over = not searching and not progress.under_way
                best = self._unconfirmed(progress)
                confirmations += [Need("confirm", progress.cell, confirms=trial) for trial in best]
                if not best and not over:
                    confirmations.append(Need("confirm", progress.cell))
        return found + confirmations

    def _wants_more(self, progress: _Progress) -> bool:
        trials = self._study.trials
        if trials is None:
            return not progress.fruitless
        given_up = len(progress.infeasible) >= INFEASIBLE_PER_TRIAL * trials
        return len(progress.searched) - len(progress.infeasible) < trials and not given_up

    def _confirmation(self, progress: _Progress) -> Need | None:
        """The next of a cell's best trials without a confirmation, once its search is over."""
        if not self._study.confirmation_seeds or progress.under_way:
            return None
        best = self._unconfirmed(progress)
        return Need("confirm", progress.cell, confirms=best[0]) if best else None

    def _unconfirmed(self, progress: _Progress) -> list[TrialHistory]:
        """Of a cell's best trials (of several objectives: its front) those without a confirmation."""
        searched = finished_trials(progress.trials.values(), phases=["search"])
        best = find_best(searched, self._study.objectives)
        confirmed = {_key(trial.values) for trial in progress.trials.values() if trial.phase == "confirm"}
        return [trial for trial in best if _key(trial.values) not in confirmed]


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

    @property
    def fruitless(self) -> bool:
        """Whether the latest proposals of its search trained nothing, being known, paused or infeasible."""
        latest = sorted(self.searched)[-FRUITLESS:]
        trained = any(map(_was_trained, (self.trials[number] for number in latest)))
        return len(latest) == FRUITLESS and not trained


def _was_trained(trial: TrialHistory) -> bool:
    # One that repeats a paused trial has no replicate, and waits for that one's end.
    itself = any(replicate.repeated_of is None for replicate in trial.replicates.values())
    return itself and trial.outcome != "infeasible"


def _work(values: Mapping[str, Any]) -> float:
    """Grows about as the work of a cell's trainings does: with depth, the square of width, and epochs."""
    names = ("architecture.depth", "architecture.width", "training.epochs")
    depth, width, epochs = (values.get(name) or 1 for name in names)
    return float(depth * width**2 * epochs)


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)
