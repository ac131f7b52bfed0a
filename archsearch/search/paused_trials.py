"""Paused trials as samplers should see them: like pruned ones, by what they showed last."""

from __future__ import annotations

from collections.abc import Container
from copy import copy, deepcopy

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

PAUSED = "archsearch:paused"
"""System attribute of a trial that is shown as pruned and may yet change."""


class StorageOfPaused(InMemoryStorage):
    """Lists paused trials as pruned ones: to Optuna they run, and samplers learn nothing of what runs.

    Attributes:
        paused: Ids of the trials that have been paused and not told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paused: set[int] = set()
        self._shown: dict[int, FrozenTrial] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study, see `optuna.storages.BaseStorage`."""
        if not self.paused:
            return super().get_all_trials(study_id, deepcopy, states)
        shown = [self._show(trial) for trial in super().get_all_trials(study_id, deepcopy=False)]
        found = [trial for trial in shown if states is None or trial.state in states]
        return _deeply(found) if deepcopy else found

    def _show(self, trial: FrozenTrial) -> FrozenTrial:
        if trial._trial_id not in self.paused or not trial.intermediate_values:
            return trial
        known = self._shown.get(trial._trial_id)
        if known is not None and len(known.intermediate_values) == len(trial.intermediate_values):
            return known
        shown = self._shown[trial._trial_id] = copy(trial)
        shown.intermediate_values = dict(trial.intermediate_values)
        shown.state = TrialState.PRUNED
        shown.value = trial.intermediate_values[max(trial.intermediate_values)]
        shown.system_attrs = {**trial.system_attrs, PAUSED: True}
        return shown


def _deeply(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return deepcopy(trials)
