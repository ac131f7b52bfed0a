"""Bring what is made from a journal up to it: the report, MLflow, the copy in an Optuna storage."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archsearch.errors import HIDDEN, RunFolderError, TrackingError
from archsearch.journal import STUDY_FILES, RunFolder, RunFolderLock, read_journal
from archsearch.study import StudyConfig, load_study, parse_study
from archsearch.tracking import MirrorStatus, sync

if TYPE_CHECKING:
    from archsearch.application.reporting import Report

T = TypeVar("T")


@dataclass(frozen=True)
class Synced:
    """What stands where.

    While somebody works on the study, and where its run folder cannot be written, MLflow alone is synced.

    Attributes:
        mlflow: What MLflow holds.
        report: What was written; None where no trial has ended, or MLflow alone was synced.
        optuna_trials: How many trials are in the Optuna storage; None where the study names none, or MLflow
            alone was synced.
    """

    mlflow: MirrorStatus
    report: Report | None
    optuna_trials: int | None

    def to_mapping(self) -> dict[str, Any]:
        """It as JSON's values."""
        page = str(self.report.page) if self.report else None
        return {**asdict(self.mlflow), "report": page, "optuna_trials": self.optuna_trials}


def sync_study(study: str, *, uri: str = "", runs_folder: str | Path = "runs") -> Synced:
    """Bring a study's report, MLflow and Optuna's copy up to its journal; a second time changes nothing.

    Args:
        study: Name of a study that was run, its run folder, or its file, whose addresses are then taken.
        uri: MLflow tracking URI; empty takes the study's.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: The study was not run, or an address lacks its password.
        TrackingError: MLflow or Optuna's storage cannot be written.
    """
    from archsearch.application.reporting import write_report

    folder = RunFolder.find(study, runs_folder)
    uri = uri or find_uri(study, folder)
    # Before MLflow, which is given it.
    report = _alone(folder, lambda: write_report(folder, folder.history()))
    mlflow = sync_mlflow(folder, uri)
    return Synced(mlflow, report, _alone(folder, lambda: _sync_optuna(study, folder)))


def sync_mlflow(folder: RunFolder, uri: str) -> MirrorStatus:
    """Bring MLflow up to what a journal says; a second time changes nothing.

    Raises:
        TrackingError: MLflow cannot be written.
    """
    status = sync(folder.path, uri)
    if status.state == "gave up":
        raise TrackingError(f"MLflow is not up to date: {status.error}")
    return status


def find_uri(study: str, folder: RunFolder) -> str:
    """Return the MLflow tracking URI of a study; empty where it names none.

    Raises:
        RunFolderError: It lacks its password.
    """
    uri = _find_study(study, folder).tracking.uri
    if HIDDEN not in uri:
        return uri
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not given:
        raise _without_password(folder, "uri", uri, "Give --uri, or set MLFLOW_TRACKING_URI.")
    return given


def _alone(folder: RunFolder, work: Callable[[], T]) -> T | None:
    """Do what nobody else may do at the same time; None where somebody works on the study, or none can."""
    with ExitStack() as stack:
        try:
            stack.enter_context(RunFolderLock(folder.path))
        except RunFolderError:
            return None
        return work()


def _sync_optuna(study: str, folder: RunFolder) -> int | None:
    url = _find_study(study, folder).tracking.optuna
    if not url:
        return None
    if HIDDEN in url:
        fix = "All but Optuna's storage is up to date; for that give the study's file instead of its name."
        raise _without_password(folder, "optuna", url, fix)
    from archsearch.search.optuna_refilling import refill_storage

    return refill_storage(url, _load(folder), read_journal(folder.journal))


def _find_study(given: str, folder: RunFolder) -> StudyConfig:
    """Load a study from its file, if that was given, which holds passwords, else as it was last run."""
    path = Path(given)
    return load_study(path) if path.suffix in STUDY_FILES and path.is_file() else _load(folder)


def _load(folder: RunFolder) -> StudyConfig:
    return parse_study(folder.study.read_text(encoding="utf-8"), str(folder.study))


def _without_password(folder: RunFolder, setting: str, got: str, fix: str) -> RunFolderError:
    return RunFolderError(
        "keeps no passwords, and this one needs one",
        path=f"{folder.study}: tracking.{setting}",
        got=got,
        fix=fix,
    )
