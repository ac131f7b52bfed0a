"""The searches of all cells, and what each is told of a study's trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from archsearch.journal import TrialHistory
from archsearch.search.cell_search import CellSearch, Memo, Told, told_to_optuna
from archsearch.search.settling import UNDER_WAY, Settlement
from archsearch.search.warm_start import WarmStart
from archsearch.study import StudyConfig, label_values
from archsearch.training.values import EpochReport


class CellSearches:
    """One search for each cell that has been asked for.

    Args:
        study: The study.
        trials: All trials by number, as they are by now.
        start: What they begin with of other studies.
    """

    def __init__(self, study: StudyConfig, trials: Mapping[int, TrialHistory], start: WarmStart) -> None:
        self._study = study
        self._trials = trials
        self._start = start
        self._searches: dict[str, CellSearch] = {}
        # nobody else has a use for the epochs of a trial
        listening = study.pruner.name != "none" or study.scheduler.name != "none"
        self._heard = next(iter(study.objectives)) if listening else None

    def of(self, cell: Mapping[str, Any]) -> CellSearch:
        """The search of a cell, by its swept values."""
        label = label_values(cell)
        if label not in self._searches:
            self._searches[label] = CellSearch(self._study, label, cell, self._start.of(label))
        return self._searches[label]

    def frozen(self, trial: TrialHistory) -> FrozenTrial:
        """A trial of a search as Optuna knows it."""
        return self.of(trial.cell).frozen(trial.number)

    def restore(self, trial: TrialHistory) -> None:
        """Put back a trial from the journal; in the order in which they were proposed."""
        if trial.optuna is None:
            return
        outcome = told_to_optuna(trial)
        told = (outcome, trial.objective_values) if outcome else None
        trained = all(
            seed in trial.replicates and trial.replicates[seed].outcome not in UNDER_WAY
            for seed in trial.seeds
        )
        paused_after = self._paused_after(trial)
        epochs = self._curve(trial)[: None if told else paused_after]
        depth = trial.architecture.get("depth")
        self.of(trial.cell).restore(trial.number, Memo(**trial.optuna), epochs, told, depth=depth)
        if trained and not told:
            self._report_again(trial)
        if paused_after and not told:
            self.pause(trial)

    def pause(self, trial: TrialHistory) -> None:
        """Learn that a trial is paused; samplers learn from it as from a pruned one until it ends."""
        self.of(trial.cell).pause(trial.number)

    def hear(self, report: EpochReport) -> bool:
        """Hear of an epoch; True asks to prune the trial."""
        trial = self._trials[report.trial]
        last = report.epoch + 1 >= trial.training["epochs"]
        if trial.optuna is None or self._heard is None or last:
            return False
        return self._report(trial, report.epoch, report.metrics[self._heard])

    def tell(
        self, trial: TrialHistory, settlement: Settlement, violations: Mapping[str, float], *, unheard: bool
    ) -> dict[str, Any] | None:
        """Tell how a trial ended, once; returns what Optuna now keeps beside it, if it knows the trial.

        Args:
            trial: The trial.
            settlement: Its end.
            violations: Constraint values, at most 0 where the constraint is met.
            unheard: Whether it was not trained, its result being known: its epochs were not heard of yet.
        """
        if trial.optuna is None or trial.outcome is not None:
            return None
        if unheard:
            for epoch, value in enumerate(self._curve(trial)):
                self._report(trial, epoch, value)
        outcome: Told = "pruned" if settlement.outcome == "infeasible" else settlement.outcome
        return self.of(trial.cell).tell(trial.number, outcome, settlement.values, violations)

    def _report(self, trial: TrialHistory, epoch: int, value: float) -> bool:
        return self.of(trial.cell).report(trial.number, epoch, value, depth=trial.architecture["depth"])

    def _report_again(self, trial: TrialHistory) -> None:
        """Report again what has ended and was not told: what pruners noted of it, no record holds yet."""
        # One that repeats another reports when it is told.
        if trial.replicates[trial.seeds[0]].repeated_of is None:
            for epoch, value in enumerate(self._curve(trial)):
                self._report(trial, epoch, value)

    @staticmethod
    def _paused_after(trial: TrialHistory) -> int:
        return max((replicate.paused_after for replicate in trial.replicates.values()), default=0)

    def _curve(self, trial: TrialHistory) -> list[float]:
        """What Optuna hears of a trial epoch by epoch: of all but the last, as `hear` does."""
        replicate = trial.replicates.get(trial.seeds[0])
        if self._heard is None or replicate is None:
            return []
        if replicate.repeated_of is not None:
            return self._curve(self._trials[replicate.repeated_of])
        return [metrics[self._heard] for metrics in replicate.epochs[: trial.training["epochs"] - 1]]
