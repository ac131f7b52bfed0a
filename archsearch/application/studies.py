"""The studies that were run, at a glance: what each is doing, what its trials came to, its best so far.

Read from the journals alone. Nothing is written and no lock is taken, so a study may run meanwhile.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from archsearch.errors import InputError, JournalError, RunFolderError
from archsearch.journal import RunFolder, StudyHistory, TrialHistory, find_holder
from archsearch.search.ranking import rank, reported_trials

State = Literal["running", "finished", "interrupted", "unreadable"]


@dataclass(frozen=True)
class Glance:
    """A study at a glance.

    Attributes:
        name: Its name; of an unreadable one that of its folder.
        state: running: a process holds it; interrupted: something is left to do and nobody does it.
        why: Why it is in that state: why it ended, who holds it, what is wrong with its journal.
        trials: Number of trials by outcome; those without one are ``unfinished``.
        objectives: Their directions by name.
        best: The trial that its answer would name now; None where none has ended.
        began: Unix seconds; None where nothing is known.
        heard: Time of its last record, Unix seconds.
        hours: Time in sessions up to that record.
        disk_mib: All that stands in its run folder.
    """

    name: str
    folder: Path
    state: State
    why: str
    disk_mib: float
    trials: Mapping[str, int] = field(default_factory=dict)
    objectives: Mapping[str, str] = field(default_factory=dict)
    best: TrialHistory | None = None
    began: float | None = None
    heard: float | None = None
    hours: float = 0.0

    def to_mapping(self) -> dict[str, Any]:
        """The glance as JSON's values."""
        return {
            "study": self.name,
            "run_folder": str(self.folder),
            "state": self.state,
            "why": self.why,
            "trials": dict(self.trials),
            "best": self.best and describe_trial(self.best, self.objectives),
            "began": self.began,
            "heard": self.heard,
            "hours": self.hours,
            "disk_mib": self.disk_mib,
        }


def describe_trial(trial: TrialHistory, objectives: Mapping[str, str]) -> dict[str, Any]:
    """A trial in a few of JSON's values."""
    return {
        "trial": trial.number,
        "network": trial.name,
        "phase": trial.phase,
        "outcome": trial.outcome,
        "depth": trial.architecture.get("depth"),
        "parameters": trial.parameters,
        "macs": trial.macs,
        "values": dict(zip(objectives, trial.objective_values or (), strict=False)),
        "metrics": dict(trial.metrics),
    }


def pick_trial(history: StudyHistory, number: int, *, path: str) -> TrialHistory:
    """Return a trial by its number.

    Args:
        history: Of its study.
        number: Of the trial.
        path: What gave the number, for messages.

    Raises:
        InputError: There is none of this number.
    """
    if number not in history.trials:
        known = f"It has trials 0 to {max(history.trials)}." if history.trials else "It has no trial yet."
        raise InputError("must be a trial of the study", path=path, got=number, fix=known)
    return history.trials[number]


def list_studies(runs_folder: str | Path = "runs") -> list[Glance]:
    """Look at all studies below a folder, the one that was heard of last first.

    Raises:
        RunFolderError: There is no such folder.
    """
    place = Path(runs_folder)
    if not place.is_dir():
        fix = "Run a study first (archsearch init writes some to begin with), or give --runs-dir."
        raise RunFolderError("must be a folder in which studies were run", path=str(place), fix=fix)
    found = [_glance_at(RunFolder(place / name)) for name in RunFolder.names(place)]
    return sorted(found, key=lambda glance: (-(glance.heard or 0.0), glance.name))


def _glance_at(folder: RunFolder) -> Glance:
    try:
        return read_glance(folder, folder.history())
    except (JournalError, RunFolderError) as error:
        name = folder.path.name
        return Glance(name, folder.path, "unreadable", str(error), _measure_disk_mib(folder.path))


def read_glance(folder: RunFolder, history: StudyHistory) -> Glance:
    """Look at a study whose journal was read."""
    objectives: Mapping[str, str] = history.header.get("objectives") or {}
    ended = reported_trials(history.trials.values()) if objectives else []
    state, why = _find_state(folder, history)
    return Glance(
        name=history.header.get("name") or folder.path.name,
        folder=folder.path,
        state=state,
        why=why,
        disk_mib=_measure_disk_mib(folder.path),
        trials=Counter(trial.outcome or "unfinished" for trial in history.trials.values()),
        objectives=objectives,
        best=rank(ended, objectives)[0] if ended else None,
        began=history.created,
        heard=history.sessions[-1].ended if history.sessions else history.created,
        hours=sum(session.hours for session in history.sessions),
    )


def _find_state(folder: RunFolder, history: StudyHistory) -> tuple[State, str]:
    if history.finished is not None:
        # Who holds it now writes to MLflow, or looks whether anything is left to do.
        return "finished", history.finished
    if holder := find_holder(folder.path):
        return "running", f"process {holder.pid} on {holder.host} since {holder.since}"
    if not history.sessions:
        return "interrupted", "ended before its first training"
    reason = history.sessions[-1].interrupted
    return "interrupted", reason or "ended without a word, as a process that is killed"


def _measure_disk_mib(folder: Path) -> float:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # A study that runs removes checkpoints meanwhile.
            with suppress(OSError):
                size += Path(place, name).lstat().st_size
    return size / 2**20
