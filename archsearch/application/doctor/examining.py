"""Make all checks, those that wait for something at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.application.doctor import machine, places, run_folder, services, software
from archsearch.application.doctor.checks import Check, Examine, Subject
from archsearch.errors import InputError, StudyError
from archsearch.journal import RunFolder
from archsearch.study import load_study, parse_study

CHECKS: tuple[Examine, ...] = (
    software.examine_python,
    software.examine_libraries,
    software.examine_optional,
    software.examine_torch,
    machine.examine_processor,
    machine.examine_threads,
    machine.examine_memory,
    machine.examine_devices,
    machine.examine_disk,
    machine.examine_shared_memory,
    machine.examine_clock,
    places.examine_files,
    places.examine_worker,
    services.examine_mlflow,
    services.examine_optuna,
    services.examine_ray,
    run_folder.examine_study,
    run_folder.examine_data,
    run_folder.examine_journal,
    run_folder.examine_lock,
    run_folder.examine_conditions,
    run_folder.examine_leftovers,
)
# They wait for other processes; all else runs in this thread.
_WAITING = (services.examine_mlflow, services.examine_optuna, services.examine_ray)


@dataclass(frozen=True)
class Diagnosis:
    """What all checks found."""

    checks: tuple[Check, ...]

    @property
    def broken(self) -> bool:
        """Whether anything is."""
        return any(check.state == "broken" for check in self.checks)

    def to_mapping(self) -> dict[str, Any]:
        """The diagnosis as JSON's values."""
        return {"broken": self.broken, "checks": [asdict(check) for check in self.checks]}


def examine_machine(
    study: str | None = None,
    *,
    runs_folder: str | Path = "runs",
    checks: Sequence[Examine] = CHECKS,
) -> Diagnosis:
    """Look at this machine, what is installed, and a study.

    Args:
        study: Name of a study that was run, its run folder, or a YAML file; None looks at the machine alone.
        runs_folder: Folder of all run folders.
        checks: What is looked at, in this order.

    Raises:
        RunFolderError: There is no such study.
    """
    subject = _find_subject(study, Path(runs_folder))
    with ThreadPoolExecutor(len(_WAITING)) as pool:
        waiting = {check: pool.submit(check, subject) for check in checks if check in _WAITING}
        found = {check: check(subject) for check in checks if check not in waiting}
        found.update({check: future.result() for check, future in waiting.items()})
    return Diagnosis(tuple(one for check in checks if (one := found[check]) is not None))


def _find_subject(study: str | None, runs_folder: Path) -> Subject:
    if study is None:
        return Subject(runs_folder)
    path = Path(study)
    try:
        if path.suffix in (".yaml", ".yml") and path.is_file():
            config = load_study(path)
            return Subject(runs_folder, RunFolder.of(config.name, runs_folder), config)
    except StudyError as error:
        return Subject(runs_folder, RunFolder.of(path.stem, runs_folder), None, str(error))
    folder = RunFolder.find(study, runs_folder)
    try:
        text = folder.study.read_text(encoding="utf-8")
        return Subject(runs_folder, folder, parse_study(text, str(folder.study)))
    except (InputError, OSError) as error:
        return Subject(runs_folder, folder, None, str(error))
