"""What a study lacks next, as a pure function of what its journal says.

Baselines come first, then the cells (each its one trial, or its search), then the confirmations of the
cells whose search is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from archsearch.journal import TrialHistory
from archsearch.search.ranking import finished_trials, pareto_front, rank
from archsearch.study import Cell, StudyConfig

INFEASIBLE_PER_TRIAL = 20
"""A cell whose search proposes this many infeasible trials for each one asked for is given up."""

Trials = Mapping[int, TrialHistory]


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


def next_need(study: StudyConfig, trials: Trials, exhausted: Callable[[Cell], bool]) -> Need | None:
    """What to make next, or None while (or because) nothing is left to make.

    Args:
        study: The study.
        trials: All trials so far, also those under way.
        exhausted: Whether the sampler has nothing new left for a cell.
    """
    present = {trial.name for trial in trials.values() if trial.phase == "include"}
    for name in study.include:
        if name not in present:
            return Need("include", name=name)
    if not study.search:
        swept = {_key(trial.cell) for trial in trials.values() if trial.phase == "sweep"}
        return next((Need("sweep", cell) for cell in study.cells() if _key(cell.values) not in swept), None)
    progress = [CellProgress.of(study, cell, trials.values()) for cell in study.cells()]
    open_cells = [p for p in progress if not p.proposed_all and not exhausted(p.cell)]
    if open_cells:
        least = min(open_cells, key=lambda p: (p.counted + p.infeasible, p.cell.index))
        return Need("search", least.cell)
    for cell_progress in progress:
        need = _confirmation(study, cell_progress)
        if need is not None:
            return need
    return None


@dataclass(frozen=True)
class CellProgress:
    """How far the search of one cell is.

    Attributes:
        trials: Its trials, in the order of their numbers.
        counted: Proposals that count against `trials`: all but infeasible ones.
        infeasible: Proposals that did not count.
    """

    cell: Cell
    trials: tuple[TrialHistory, ...]
    counted: int
    infeasible: int
    asked_for: int

    @classmethod
    def of(cls, study: StudyConfig, cell: Cell, trials: Iterable[TrialHistory]) -> CellProgress:
        """Count the trials of a cell."""
        key = _key(cell.values)
        own = tuple(t for t in trials if t.phase in ("search", "confirm") and _key(t.cell) == key)
        searched = [trial for trial in own if trial.phase == "search"]
        infeasible = sum(trial.outcome == "infeasible" for trial in searched)
        return cls(cell, own, len(searched) - infeasible, infeasible, study.trials or 0)

    @property
    def given_up(self) -> bool:
        """Whether too many proposals were infeasible."""
        return self.infeasible >= INFEASIBLE_PER_TRIAL * self.asked_for

    @property
    def proposed_all(self) -> bool:
        """Whether no further proposal is wanted."""
        return self.counted >= self.asked_for or self.given_up

    @property
    def told_all(self) -> bool:
        """Whether every proposal has ended."""
        return all(trial.outcome is not None for trial in self.trials if trial.phase == "search")


def _confirmation(study: StudyConfig, progress: CellProgress) -> Need | None:
    """The next of a cell's best trials that has not been confirmed: one, or a front of several objectives."""
    if not study.confirmation_seeds or not progress.told_all:
        return None
    ranked = rank(finished_trials(progress.trials, phases=["search"]), study.objectives)
    best = ranked[:1] if len(study.objectives) == 1 else pareto_front(ranked, study.objectives)
    confirmed = {_key(trial.values) for trial in progress.trials if trial.phase == "confirm"}
    for trial in best:
        if _key(trial.values) not in confirmed:
            return Need("confirm", progress.cell, confirms=trial)
    return None


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True, default=list)
