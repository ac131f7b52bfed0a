"""Finished trials copied to an Optuna storage of the user's, for dashboards and other tools.

The copy decides nothing. A storage that does not answer is waited for: what it missed is added with the next
trial, or by the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from archsearch.study.schema import Direction

_log = logging.getLogger("archsearch")
_NUMBER = "archsearch.trial"


class OptunaMirror:
    """Copies the finished trials of one study, each once, one Optuna study a cell.

    Args:
        url: Optuna storage URL.
        study_name: Name of the study; a cell's label is put behind it.
        directions: Of the objectives.
    """

    def __init__(self, url: str, study_name: str, directions: Sequence[Direction]) -> None:
        self._url = url
        self._study_name = study_name
        self._directions = list(directions)
        self._studies: dict[str, tuple[optuna.Study, set[int]]] = {}
        self._backlog: list[tuple[str, int, FrozenTrial]] = []
        self._complained = False

    def add(self, label: str, number: int, trial: FrozenTrial) -> None:
        """Copy a finished trial of a cell, and whatever could not be copied before."""
        self._backlog.append((label, number, trial))
        try:
            while self._backlog:
                self._copy(*self._backlog[0])
                del self._backlog[0]
        # Whatever a storage's driver raises: a copy must never end the study.
        except Exception as error:  # noqa: BLE001
            if not self._complained:
                _log.warning(
                    "Optuna's storage cannot be written (%s); the study goes on, and the trials that it "
                    "misses are copied when it answers again.",
                    type(error).__name__,
                )
            self._complained = True

    def _copy(self, label: str, number: int, trial: FrozenTrial) -> None:
        study, present = self._study(label)
        if number not in present:
            copied = optuna.trial.create_trial(
                state=trial.state,
                values=trial.values,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={_NUMBER: number},
                system_attrs=trial.system_attrs,
                intermediate_values=trial.intermediate_values,
            )
            study.add_trial(copied)
            present.add(number)

    def _study(self, label: str) -> tuple[optuna.Study, set[int]]:
        if label not in self._studies:
            study = optuna.create_study(
                storage=self._url,
                study_name=f"{self._study_name}/{label}" if label else self._study_name,
                directions=self._directions,
                load_if_exists=True,
            )
            present = {trial.user_attrs.get(_NUMBER, -1) for trial in study.get_trials(deepcopy=False)}
            self._studies[label] = (study, present)
        return self._studies[label]
