"""What a study can use of the others below the same folder: results, how they computed, what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from archsearch.errors import ArchsearchError, InputError, StudyError
from archsearch.journal import RunFolder, read_journal
from archsearch.search.other_studies import OtherStudies, describe_conditions
from archsearch.search.taking_over import TakingOver
from archsearch.search.warm_start import gather
from archsearch.study import StudyConfig, parse_study
from archsearch.training.values import Compute

# What the arithmetic is chosen for, beside the networks.
_CHOSEN_FOR = ("executor", "workers", "workers_per_device", "devices_per_trial", "device")
_AS_IN = "as in study "


class Reuse:
    """Looks at the other studies, where a study is to use them.

    Args:
        study: The study.
        folder: Its run folder.
        provenance: What it runs under, see `describe_provenance`.

    Raises:
        StudyError: A folder that the study names is not there.
    """

    def __init__(self, study: StudyConfig, folder: RunFolder, provenance: Mapping[str, Any]) -> None:
        self._study = study
        self._folder = folder
        self._session = {**provenance, "devices_per_trial": study.execution.devices_per_trial}
        self._others = OtherStudies(folder, _find_further(study))

    def find_arithmetic(self) -> Compute | None:
        """The arithmetic of a study that asks the same here under another name.

        Measured anew it might differ by noise alone, and no result would be of use.
        """
        conditions = describe_conditions(self._session) if self._study.execution.reuse else None
        for path in self._others.asking(self._study.identity(), conditions) if conditions else ():
            history = self._others.history(path)
            if history is None or history.compute is None:
                continue
            try:
                asked = parse_study(str(history.question["text"]), str(path)).execution
                compute = Compute(**history.compute)
            except (ArchsearchError, KeyError, TypeError):
                continue
            if all(getattr(asked, name) == getattr(self._study.execution, name) for name in _CHOSEN_FOR):
                reason = compute.reason
                said = reason if reason.startswith(_AS_IN) else f"{_AS_IN}{path.name}: {reason}"
                return replace(compute, reason=said)
        return None

    def take_over(self, compute: Compute) -> TakingOver | None:
        """What finds the results of others; None where all is to be trained anew.

        Args:
            compute: The arithmetic of the study.
        """
        conditions = describe_conditions(self._session, asdict(compute))
        if conditions is None or not self._study.execution.reuse:
            return None
        return TakingOver(self._study, self._folder, self._others, conditions)


def _find_further(study: StudyConfig) -> list[Path]:
    found = [Path(name).expanduser() for name in study.execution.reuse_from]
    for path in found:
        if not path.is_dir():
            raise StudyError(
                "must name folders of runs", path="execution.reuse_from", got=str(path), where=study.source
            )
    return found


def find_warm_start(
    study: StudyConfig, folder: RunFolder, runs_folder: str | Path
) -> tuple[dict[str, Any], list[str]] | None:
    """Gather what a study begins with of others; None where it asks for nothing, or has begun.

    Args:
        study: The study.
        folder: Its run folder, in which nothing is changed.
        runs_folder: Folder of all run folders.

    Returns:
        Fields of the ``warm_start`` record, and sentences for the person who waits.

    Raises:
        StudyError: One of them is the study itself, or has other objectives.
        RunFolderError: One of them was not run.
    """
    if not study.warm_start:
        return None
    records = read_journal(folder.journal) if folder.journal.is_file() else []
    if any(record.kind in ("warm_start", "trial") for record in records):
        return None
    others = {}
    for name in study.warm_start:
        try:
            other = RunFolder.find(name, runs_folder)
        except InputError as error:
            raise error.at(where=study.source, path="warm_start") from error
        if other.path.resolve() == folder.path.resolve():
            raise StudyError("must name another study", path="warm_start", got=name, where=study.source)
        others[other.path.name] = other.history()
    try:
        return gather(study, others)
    except StudyError as error:
        raise error.at(where=study.source) from error
