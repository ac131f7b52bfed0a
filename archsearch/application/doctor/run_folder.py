"""A study that was run, or will be: its file, data, journal, lock, and what was left lying about."""

from __future__ import annotations

import json

from filelock import FileLock, Timeout

from archsearch.application.doctor.checks import Check, Subject
from archsearch.application.provenance import describe_provenance, explain_changes
from archsearch.data import check_data, load_dataset, load_source_plugins
from archsearch.errors import InputError, JournalError
from archsearch.execution import find_devices
from archsearch.journal import RunFolder, StudyHistory, read_journal, replay
from archsearch.journal.reading import parse_lines


def examine_study(subject: Subject) -> Check | None:
    """Whether the study's file can be read."""
    if subject.folder is None:
        return None
    if subject.study is None:
        return Check("study", "broken", subject.unreadable, "Mend the study file as the message says.")
    return Check("study", "ok", f"{subject.study.name}, {len(subject.study.cells())} cells")


def examine_journal(subject: Subject) -> Check | None:
    """Whether the journal is whole; where it is not, the line."""
    if subject.folder is None:
        return None
    path = subject.folder.journal
    if not path.is_file():
        return Check("journal", "ok", "none yet: the study was not run")
    try:
        parsed = parse_lines(path.read_bytes(), path)
        replay(parsed.records)
    except JournalError as error:
        what, _, mend = str(error).partition(" Restore ")
        return Check("journal", "broken", what, f"Restore {mend}" if mend else "Restore it from a copy.")
    except OSError as error:
        return Check("journal", "broken", f"{path}: {error.strerror}", "Make it readable for you.")
    if parsed.torn:
        found = f"{path}:{parsed.lines + 1}: the last line is torn ({parsed.torn} bytes)"
        return Check("journal", "warning", found, "Nothing to do: the next run removes it and goes on.")
    return Check("journal", "ok", f"{len(parsed.records)} records, whole")


def examine_lock(subject: Subject) -> Check | None:
    """Who works on the study, and whether somebody died doing so."""
    if subject.folder is None or not (subject.folder.path / ".lock").exists():
        return None
    holder = subject.folder.path / "holder.json"
    try:
        told = json.loads(holder.read_text(encoding="utf-8"))
        who = f"process {told['pid']} on {told['host']} since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = ""
    if _is_held(subject.folder):
        return Check("lock", "ok", f"held by {who or 'another process'}: the study runs")
    if who:
        found = f"free; {who} held it and died"
        return Check("lock", "warning", found, "Nothing to do: the next run takes it and goes on.")
    return Check("lock", "ok", "free")


def _is_held(folder: RunFolder) -> bool:
    try:
        with FileLock(folder.path / ".lock", timeout=0):
            return False
    except (Timeout, OSError):
        return True


def examine_data(subject: Subject) -> Check | None:
    """Whether the data are there, and still those that the study began with."""
    if subject.study is None:
        return None
    _, settings = subject.study.space.fixed_settings()
    try:
        load_source_plugins(subject.study.plugins)
        check_data(settings)
        history = _history(subject)
        if not history.header:
            return Check("data", "ok", f"{settings.name} is there")
        # What is missing is to be said, not fetched.
        fingerprint = load_dataset(settings.model_copy(update={"download": False})).fingerprint
    except InputError as error:
        return Check("data", "broken", str(error), error.fix or "Bring the data back.")
    if fingerprint != history.header["data_fingerprint"]:
        mend = "Bring the old images, labels and split back, or give the study a new name."
        return Check("data", "broken", f"{settings.name} is not what the study began with", mend)
    return Check("data", "ok", f"{settings.name}, fingerprint {fingerprint[:12]} as recorded")


def examine_conditions(subject: Subject) -> Check | None:
    """Whether the study would go on under what it was trained under: kind of device, versions, commit."""
    history = _history(subject)
    compute = history.compute
    if not compute or subject.study is None:
        return None
    executor = subject.study.execution.executor
    try:
        devices = find_devices("auto" if executor == "ray" else compute["device"])
    except InputError:
        found = f"the study began on {compute['device']}, which this machine does not have"
        mend = "Go on where there is such a device, or give the study another name to begin it anew."
        return Check("conditions", "broken", found, mend)
    now = describe_provenance(devices.kind, local=executor != "ray")
    if changed := explain_changes(history, now):
        mend = (
            "Install what it was trained with, or compare with care; the report says which curves mix both."
        )
        return Check("conditions", "warning", changed.partition(". ")[0], mend)
    return Check("conditions", "ok", "as in its earlier sessions")


def examine_leftovers(subject: Subject) -> Check | None:
    """Half-written files, checkpoints of what has ended, and folders of runs that hold no journal."""
    if subject.folder is None:
        empty = [
            folder.name
            for folder in sorted(subject.runs_folder.glob("*"))
            if folder.is_dir() and not RunFolder(folder).journal.is_file()
        ]
        if not empty:
            return None
        found = f"{subject.runs_folder}: no journal in {', '.join(empty)}"
        return Check("leftovers", "warning", found, "Remove these folders, if they are of no use to you.")
    if not subject.folder.path.is_dir() or _is_held(subject.folder):
        return None
    parts = sorted(subject.folder.path.rglob("*.part"))
    if _history(subject).finished:
        kept = sorted((subject.folder.path / "checkpoints").glob("*"))
        parts += [path for path in kept if path not in parts]
    if parts:
        size = sum(path.stat().st_size for path in parts)
        found = f"{len(parts)} files that nothing needs, {size / 2**20:.1f} MiB: {parts[0]}"
        return Check("leftovers", "warning", found, f"Remove them, in {parts[0].parent}.")
    return Check("leftovers", "ok", "none")


def _history(subject: Subject) -> StudyHistory:
    """What the journal says; nothing where there is none, or none that can be read."""
    if subject.folder is None or not subject.folder.journal.is_file():
        return StudyHistory()
    try:
        return replay(read_journal(subject.folder.journal))
    except (JournalError, InputError):
        return StudyHistory()
