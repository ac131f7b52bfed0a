"""What other studies have trained, found in their journals below one folder of runs or several.

The journals alone are the truth. An index beside the run folders saves reading them all again: what it says
of a journal counts while that has the size and the time that it had, and is looked up there. A journal that
cannot be read is passed over: whose it is will be told when that study is run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archsearch.journal import (
    JOURNAL_NAME,
    Record,
    ReplicateHistory,
    RunFolder,
    SessionHistory,
    StudyHistory,
    TrialHistory,
    read_journal,
    replay,
)
from archsearch.training.saving import replace_files

INDEX_NAME = ".trainings.json"
"""Name of the index in the folder of all run folders; it may be removed at any time."""

_VERSION = 1
_log = logging.getLogger("archsearch")
# To read more takes longer than most trainings that could be found in it.
_MOST_BYTES = 2**28
_ARITHMETIC = ("precision", "channels_last", "threads", "device")
# No training depends on these.
_UNINVOLVED = ("optuna", "mlflow")


@dataclass(frozen=True)
class Entry:
    """What the index holds of one journal.

    Attributes:
        size: Of the journal, in bytes.
        mtime_ns: When it was written last.
        question: Digest of what cannot change while the study grows.
        place: Digest of what its latest session ran under, but for the arithmetic.
        trials: How many it has.
        trainings: Trial and seed by the digest of what was trained.
    """

    size: int
    mtime_ns: int
    question: str
    place: str
    trials: int
    trainings: Mapping[str, tuple[int, int]]


class OtherStudies:
    """The studies beside one; their journals are looked at when they are first asked for.

    Args:
        folder: Run folder of that study, which is left out.
        further: Folders of runs beside the one that it lies in.
    """

    def __init__(self, folder: RunFolder, further: Sequence[Path] = ()) -> None:
        self._own = folder.path
        self._all_runs = {path.resolve(): path for path in (*further, folder.path.parent)}.values()
        self._histories: dict[Path, StudyHistory | None] = {}

    @cached_property
    def entries(self) -> Mapping[Path, Entry]:
        """What is known of each, by its run folder."""
        found: dict[Path, Entry] = {}
        for runs in self._all_runs:
            found |= self._look_below(runs)
        return found

    def _look_below(self, runs: Path) -> dict[Path, Entry]:
        index = runs / INDEX_NAME
        before = _read_index(index)
        found: dict[Path, Entry] = {}
        for path in sorted(runs.glob(f"*/{JOURNAL_NAME}")):
            if path.parent != self._own:
                entry = self._look_at(path, before.get(path.parent.name))
                if entry is not None:
                    found[path.parent] = entry
        now = {folder.name: entry for folder, entry in found.items()}
        if runs == self._own.parent and self._own.name in before:
            now[self._own.name] = before[self._own.name]
        if now != before:
            _write_index(index, now)
        return found

    @cached_property
    def _by_digest(self) -> Mapping[str, list[tuple[Path, int, int]]]:
        found: dict[str, list[tuple[Path, int, int]]] = {}
        for folder, entry in self.entries.items():
            for name, (trial, seed) in entry.trainings.items():
                found.setdefault(name, []).append((folder, trial, seed))
        return found

    def find(self, name: str) -> Iterator[tuple[RunFolder, StudyHistory, TrialHistory, ReplicateHistory]]:
        """The trainings of a digest, see `name_training`, as their journals have them."""
        for path, number, seed in self._by_digest.get(name, []):
            history = self.history(path)
            trial = history.trials.get(number) if history else None
            replicate = trial.replicates.get(seed) if trial else None
            if history and trial and replicate and _name(history, trial, replicate) == name:
                yield RunFolder(path), history, trial, replicate

    def asking(self, identity: Mapping[str, Any], conditions: Mapping[str, Any]) -> list[Path]:
        """Run folders of studies that ask the same question under the same conditions, the longest first.

        Args:
            identity: What cannot change while a study grows.
            conditions: Of `describe_conditions`; the arithmetic in it is left out.
        """
        same = (digest(identity), digest(_without_arithmetic(conditions)))
        found = [path for path, entry in self.entries.items() if (entry.question, entry.place) == same]
        return sorted(found, key=lambda path: -self.entries[path].trials)

    def history(self, path: Path) -> StudyHistory | None:
        """What the journal in a run folder says; None where it cannot be read."""
        if path not in self._histories:
            self._histories[path] = _read(path)[1]
        return self._histories[path]

    def records(self, path: Path) -> list[Record]:
        """The records of the journal in a run folder; none where it cannot be read."""
        return _read(path)[0]

    def _look_at(self, path: Path, known: Entry | None) -> Entry | None:
        try:
            status = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return None
        if known is not None and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return known
        history = _read(path.parent)[1]
        return _summarize(history, status.st_size, status.st_mtime_ns) if history else None


def describe_conditions(
    session: Mapping[str, Any], compute: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return what results depend on beside network, settings, data and seed; None where that is not known.

    Args:
        session: Fields of the ``session`` record.
        compute: Fields of the ``compute`` record; None leaves the arithmetic out.
    """
    # journals written before they were kept lack them; of the machines of a cluster nobody knows the devices
    if not session.get("code") or not session.get("device_name"):
        return None
    versions = session.get("versions") or {}
    return {
        "code": session["code"],
        "versions": {name: version for name, version in versions.items() if name not in _UNINVOLVED},
        "device_name": session.get("device_name"),
        "devices_per_trial": session.get("devices_per_trial"),
        **({name: compute.get(name) for name in _ARITHMETIC} if compute else {}),
    }


def _without_arithmetic(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in conditions.items() if name not in _ARITHMETIC}


def name_training(trial: TrialHistory, seed: int, conditions: Mapping[str, Any]) -> str:
    """Return a digest of all that decides on the course of a training."""
    parts = [trial.architecture_id, dict(trial.training), trial.data_fingerprint, seed, dict(conditions)]
    return digest(parts)


def digest(value: Any) -> str:
    """Return a SHA-256 of JSON's values, the same for those that went through a journal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _name(history: StudyHistory, trial: TrialHistory, replicate: ReplicateHistory) -> str:
    """Digest of a training that can stand for another; empty where it cannot, or nobody knows."""
    whole = replicate.outcome == "complete" and len(replicate.epochs) == trial.training.get("epochs")
    # one that repeats another stands for nothing that the other does not stand for
    if not whole or replicate.repeated_of is not None or replicate.session is None:
        return ""
    conditions = describe_conditions(history.sessions[replicate.session].fields, history.compute)
    if replicate.attempts > 1 and not _is_same_place(history.sessions[: replicate.session + 1]):
        # It went on from a checkpoint, of which nobody knows under what it was made.
        return ""
    if conditions is None or not history.compute or not trial.data_fingerprint:
        return ""
    return name_training(trial, replicate.seed, conditions)


def _is_same_place(sessions: Sequence[SessionHistory]) -> bool:
    return len({digest(describe_conditions(session.fields)) for session in sessions}) <= 1


def _summarize(history: StudyHistory, size: int, mtime_ns: int) -> Entry:
    trainings: dict[str, tuple[int, int]] = {}
    for trial in history.trials.values():
        for replicate in trial.replicates.values():
            if name := _name(history, trial, replicate):
                trainings[name] = (trial.number, replicate.seed)
    place = describe_conditions(history.sessions[-1].fields) if history.sessions else None
    return Entry(
        size,
        mtime_ns,
        question=digest(history.header.get("identity")),
        place=digest(place) if place else "",
        trials=len(history.trials),
        trainings=trainings,
    )


def _read(folder: Path) -> tuple[list[Record], StudyHistory | None]:
    try:
        records = read_journal(folder / JOURNAL_NAME)
        return records, replay(records)
    # Of another version, damaged, or no journal of ours at all: a file may hold anything.
    except Exception as error:  # noqa: BLE001
        _log.debug("%s is passed over: %s", folder, error)
        return [], None


def _read_index(path: Path) -> dict[str, Entry]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return {}
        return {name: _restore(entry) for name, entry in content["studies"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _restore(entry: Mapping[str, Any]) -> Entry:
    trainings = {str(name): (int(trial), int(seed)) for name, (trial, seed) in entry["trainings"].items()}
    return Entry(**{**entry, "trainings": trainings})


def _write_index(path: Path, entries: Mapping[str, Entry]) -> None:
    studies = {name: asdict(entry) for name, entry in entries.items()}
    text = json.dumps({"version": _VERSION, "studies": studies})
    try:
        replace_files({path: lambda part: part.write_text(text, encoding="utf-8")})
    except OSError as error:
        _log.debug("%s cannot be written: %s", path, error)
