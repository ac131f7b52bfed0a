"""What a disturbed study lost, against one that was not disturbed and against its own journal."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from archsearch.errors import RunFolderError
from archsearch.journal import RunFolder, RunFolderLock, StudyHistory, read_journal
from archsearch.tracking import sync
from tests.tracking.store_content import read_content

_MEASURED_WITH_A_CLOCK = ("_s", "_s_std", "_mib", "_mib_std", "_ms", "_ms_std")
_LONGEST_END_S = 60.0


def results(history: StudyHistory) -> dict[int, Any]:
    """What each trial came to, but for what was measured with a clock."""
    return {
        number: {
            "phase": trial.phase,
            "cell": dict(trial.cell),
            "values": dict(trial.values),
            "outcome": trial.outcome,
            "objectives": trial.objective_values,
            "metrics": _exact(trial.metrics),
            "replicates": {
                seed: {
                    "outcome": replicate.outcome,
                    "epochs": [_exact(metrics) for metrics in replicate.epochs],
                    "metrics": _exact(replicate.metrics),
                    "test": _exact(replicate.test),
                }
                for seed, replicate in trial.replicates.items()
            },
        }
        for number, trial in history.trials.items()
    }


def _exact(metrics: Mapping[str, Any]) -> dict[str, str]:
    # As text: a NaN does not equal itself.
    return {name: repr(value) for name, value in metrics.items() if not name.endswith(_MEASURED_WITH_A_CLOCK)}


def find_lost(disturbed: RunFolder, undisturbed: RunFolder) -> Iterator[str]:
    """Say what the journals' results differ in, and what stands in the disturbed one wrongly."""
    records = read_journal(disturbed.journal)
    for kind in ("trial", "told"):
        times = Counter(record.fields["trial"] for record in records if record.kind == kind)
        if sorted(times) != list(range(len(times))):
            yield f"{kind} numbers are not 0 to {len(times) - 1}: {sorted(times)}"
        if twice := [number for number, count in times.items() if count > 1]:
            yield f"{kind} records stand more than once for {twice}"
    ours, theirs = results(disturbed.history()), results(undisturbed.history())
    if sorted(ours) != sorted(theirs):
        yield f"trials {sorted(ours)} instead of {sorted(theirs)}"
    for number in ours.keys() & theirs.keys():
        for name, value in theirs[number].items():
            if ours[number][name] != value:
                yield f"trial {number}: {name} is {ours[number][name]} instead of {value}"
    if disturbed.history().finished is None:
        yield "the study is not finished"


def find_lost_in_mlflow(folder: RunFolder, uri: str, empty_store: Path, place: Path) -> Iterator[str]:
    """Say where MLflow is not what a journal gives when it is written into an empty store at once."""
    shutil.copy(empty_store, place / "expected.db")
    expected_uri = f"sqlite:///{place / 'expected.db'}"
    sync(folder.path, expected_uri)
    uid = folder.history().header["uid"]
    found, expected = read_content(uri, uid), read_content(expected_uri, uid)
    if found.keys() != expected.keys():
        yield f"MLflow: runs differ by {sorted(found.keys() ^ expected.keys())}"
    for key in found.keys() & expected.keys():
        for name, value in expected[key].items():
            if found[key][name] != value:
                yield f"MLflow: {name} of {key} is {found[key][name]} instead of {value}"
    if running := [key for key, run in found.items() if run["status"] == "RUNNING"]:
        yield f"MLflow: still RUNNING: {running}"


def find_left_behind(folder: RunFolder, place: Path) -> Iterator[str]:
    """Say which processes, locks and halves of files are left of a study below a folder."""
    deadline = time.monotonic() + _LONGEST_END_S
    while (left := list_processes(place)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        yield f"a process is left: {process}"
    try:
        with RunFolderLock(folder.path):
            pass
    except RunFolderError as error:
        yield f"the lock is left: {error}"
    for part in folder.path.rglob("*.part"):
        yield f"half a file is left: {part}"


def list_processes(place: Path) -> list[psutil.Process]:
    """The processes that work in a folder, as every process of a command started there does."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(place):
                found.append(process)
        except (psutil.Error, OSError):
            # It ended meanwhile.
            continue
    return found
