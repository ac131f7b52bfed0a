"""How a trial ended: told to its search, written down, copied to Optuna's storage."""

from __future__ import annotations

from archsearch.search.candidates import Candidate, violations_of
from archsearch.search.cell_searches import CellSearches
from archsearch.search.keeping import Keeping
from archsearch.search.ledger import Ledger
from archsearch.search.optuna_mirror import OptunaMirror
from archsearch.search.settling import UNDER_WAY, Settlement, settle
from archsearch.study import StudyConfig, label_values


class Telling:
    """Tells the ends of one study's trials.

    Args:
        study: The study.
        ledger: Where they are written.
        searches: Of its cells.
        keeping: Is told, too.
    """

    def __init__(self, study: StudyConfig, ledger: Ledger, searches: CellSearches, keeping: Keeping) -> None:
        self._study = study
        self._ledger = ledger
        self._searches = searches
        self._keeping = keeping
        url, directions = study.tracking.optuna, tuple(study.objectives.values())
        self._mirror = OptunaMirror(url, study.name, directions) if url else None

    def tell_if_ended(self, number: int) -> None:
        """Tell a trial none of whose replicates is under way any more."""
        trial = self._ledger.trials[number]
        replicates = [trial.replicates.get(seed) for seed in trial.seeds]
        if any(replicate is None or replicate.outcome in UNDER_WAY for replicate in replicates):
            return
        violations = violations_of(self._study.constraints, trial)
        self._tell(number, settle(trial, tuple(self._study.objectives)), violations)

    def tell_infeasible(self, number: int, candidate: Candidate) -> None:
        """Tell a trial that is not trained."""
        self._tell(number, Settlement("infeasible", candidate.reason, None, {}), dict(candidate.violations))

    def _tell(self, number: int, settlement: Settlement, violations: dict[str, float]) -> None:
        trial = self._ledger.trials[number]
        repeats = {replicate.repeated_of for replicate in trial.replicates.values()}
        repeated = bool(repeats) and None not in repeats
        lenders = list(trial.lenders)
        attributes = self._searches.tell(trial, settlement, violations, unheard=repeated or bool(lenders))
        self._ledger.record(
            "told",
            trial=number,
            outcome="repeated" if repeated else settlement.outcome,
            reason=settlement.reason,
            values=settlement.values,
            metrics=dict(settlement.metrics),
            repeated_of=min(number for number in repeats if number is not None) if repeated else None,
            optuna_attributes=attributes,
            **({"taken_over": lenders} if lenders else {}),
        )
        self._keeping.note(self._ledger.trials[number])
        self.copy(number)

    def copy(self, number: int) -> None:
        """Copy a trial that has ended to Optuna's storage, if there is one."""
        trial = self._ledger.trials[number]
        if self._mirror is not None and trial.optuna is not None and trial.outcome is not None:
            self._mirror.add(label_values(trial.cell), number, self._searches.frozen(trial))

    def close(self) -> None:
        """Wait until all that has ended is copied."""
        if self._mirror is not None:
            self._mirror.close()
