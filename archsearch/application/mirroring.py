"""The mirror of a study; imports nothing that takes long, so that it can be started ahead of what does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archsearch.journal import RunFolder
from archsearch.study import StudyConfig
from archsearch.tracking import MirrorProcess


def build_mirror(
    study: StudyConfig, runs_folder: str | Path, say: Callable[[str], None]
) -> MirrorProcess | None:
    """Build the process that keeps MLflow like a study's journal; None where tracking is off.

    Args:
        study: The study.
        runs_folder: Folder of all run folders.
        say: Called with what the person who waits should know of it.
    """
    if not study.tracking.enabled:
        return None
    folder = RunFolder.of(study.name, runs_folder)
    return MirrorProcess(folder.path, study.tracking.uri, on_message=say)
