"""How far one study is, seen by another process than the one that runs it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.application.studies import Glance, describe_trial, read_glance
from archsearch.errors import InputError
from archsearch.journal import Record, RunFolder, StudyHistory, read_journal, replay
from archsearch.study import StudyConfig, parse_study

if TYPE_CHECKING:
    from archsearch.application.progress import Snapshot


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        glance: What it is doing, and what its trials came to.
        history: What its journal says.
        study: What it asks for; None where that cannot be read here, as a plugin is missing.
        snapshot: What runs and what is to be expected; None without a study. Of one that nobody runs, what
            would be, were it to go on.
    """

    glance: Glance
    history: StudyHistory
    study: StudyConfig | None
    snapshot: Snapshot | None

    def to_mapping(self) -> dict[str, Any]:
        """The status as JSON's values."""
        return {**self.glance.to_mapping(), "progress": self.snapshot and self._progress(self.snapshot)}

    def _progress(self, snapshot: Snapshot) -> dict[str, Any]:
        forecast, running = snapshot.forecast, self.glance.state == "running"
        return {
            "done_frac": forecast.frac,
            "seconds_left": forecast.seconds_left,
            "trials_in_all": forecast.trials,
            "running": [
                {**asdict(row), "network": self.history.trials[row.trial].name}
                for row in (snapshot.rows if running else ())
            ],
            "best": snapshot.best and describe_trial(snapshot.best, self.glance.objectives),
        }


def read_status(study: str, *, runs_folder: str | Path = "runs") -> Status:
    """Look at a study that was run or runs; changes nothing, and waits for nobody.

    Args:
        study: Its name, its run folder or its YAML file.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: No study of that name was run there.
        JournalError: Its journal is damaged.
    """
    folder = RunFolder.find(study, runs_folder)
    records = read_journal(folder.journal)
    history = replay(records)
    asked = _read_question(history)
    snapshot = _look(asked, history, records) if asked else None
    return Status(read_glance(folder, history), history, asked, snapshot)


def _read_question(history: StudyHistory) -> StudyConfig | None:
    with suppress(InputError):
        return parse_study(history.text, "study.yaml")
    return None


def _look(study: StudyConfig, history: StudyHistory, records: list[Record]) -> Snapshot | None:
    from archsearch.application.progress import Follower
    from archsearch.application.progress.known_workload import KnownWorkload

    train_images = history.header.get("train_images")
    if not train_images:
        return None
    follower = Follower(study, KnownWorkload(study, train_images))
    for record in records:
        follower.hear(record)
    return follower.look(time.time())
