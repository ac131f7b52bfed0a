"""From what a study needs next to a trial: values, the network that they build, and whether it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from archsearch.journal import TrialHistory
from archsearch.search.agenda import Need
from archsearch.search.candidates import Candidate, describe_candidate, examine, examine_baseline
from archsearch.search.cell_search import Memo
from archsearch.search.cell_searches import CellSearches
from archsearch.search.prefilter import Prefilter
from archsearch.search.taking_over import TakingOver
from archsearch.study import StudyConfig


class Maker:
    """Makes the trials of one study.

    Args:
        study: The study.
        searches: Of its cells.
        prefilter: Judges what a search proposes.
        taking_over: Knows what other studies proposed; None asks the searches alone.
        trials: All trials by number, as they are by now.
    """

    def __init__(
        self,
        study: StudyConfig,
        searches: CellSearches,
        prefilter: Prefilter,
        taking_over: TakingOver | None,
        trials: Mapping[int, TrialHistory],
    ) -> None:
        self._study = study
        self._trials = trials
        self._searches = searches
        self._prefilter = prefilter
        self._taking_over = taking_over

    def make(self, number: int, need: Need) -> tuple[dict[str, Any], Candidate]:
        """Make a trial; returns the fields of its record, and what it would build."""
        cell = dict(need.cell.values) if need.cell else {}
        values = dict(need.confirms.values) if need.confirms else {}
        memo = None
        if need.phase == "search":
            values, memo = self._propose(number, cell)
        candidate = self._examine(need.phase, need.name, cell, values)
        fields = {
            "trial": number,
            "phase": need.phase,
            "cell": cell,
            "values": values,
            "seeds": list(self.seeds(need.phase)),
            "optuna": asdict(memo) if memo else None,
            **describe_candidate(candidate, need.name),
        }
        return fields, candidate

    def examine_again(self, trial: TrialHistory) -> Candidate:
        """Say again what a trial would build."""
        return self._examine(trial.phase, trial.name, trial.cell, trial.values)

    def seeds(self, phase: str) -> tuple[int, ...]:
        """The seeds under which trials of a phase are trained."""
        if phase == "search" or not self._study.seeds:
            return (self._study.search_seed,)
        return self._study.seeds

    def _propose(self, number: int, cell: Mapping[str, Any]) -> tuple[dict[str, Any], Memo]:
        asked = self._taking_over.propose(number, cell, self._trials) if self._taking_over else None
        if asked is None:
            return self._searches.of(cell).ask(number)
        values, memo = asked
        self._searches.of(cell).restore(number, memo, (), None, depth=None)
        return values, memo

    def _examine(
        self, phase: str, name: str, cell: Mapping[str, Any], values: Mapping[str, Any]
    ) -> Candidate:
        if phase == "include":
            return examine_baseline(self._study, name)
        candidate = examine(self._study, {**cell, **values})
        return self._prefilter.judge(candidate, cell) if phase == "search" else candidate
