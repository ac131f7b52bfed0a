"""An Optuna storage of the user's brought up to what a journal says, in this process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna

from archsearch.errors import TrackingError, hide_passwords
from archsearch.journal import Record, replay
from archsearch.search.cell_searches import CellSearches
from archsearch.search.optuna_copying import Copies, Finished, Target
from archsearch.search.warm_start import WarmStart
from archsearch.study import StudyConfig, label_values


def refill_storage(url: str, study: StudyConfig, records: Sequence[Record]) -> int:
    """Copy the finished trials of a search to a storage, each that is not there; returns how many there are.

    They are what a run that goes on would copy. Nobody else may copy trials of the study at the same time.

    Args:
        url: Optuna storage URL, or ``grpc://host:port`` of Optuna's proxy server.
        study: As it was last run.
        records: Of its journal.

    Raises:
        TrackingError: The storage cannot be reached, or refuses.
    """
    trials = replay(records).trials
    searches = CellSearches(study, trials, WarmStart(records))
    finished = []
    for trial in trials.values():
        searches.restore(trial)
        if trial.optuna is not None and trial.outcome is not None:
            finished.append(Finished(label_values(trial.cell), trial.number, searches.frozen(trial)))
    copies = Copies(Target(url, study.name, tuple(study.objectives.values())))
    with warnings.catch_warnings():
        # of Optuna's proxy
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            for one in finished:
                copies.add(one)
        # Whatever a storage's driver raises.
        except Exception as error:
            reason = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
            raise TrackingError(
                f"Optuna's storage at {hide_passwords(url)} could not be written: {reason}. "
                "Nothing is lost: the journal holds everything, and the same command goes on from here."
            ) from error
    return len(finished)
