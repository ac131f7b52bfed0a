"""The file system of the run folders, and worker processes: both are tried for real."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from archsearch.application.doctor.checks import Check, Subject
from archsearch.architecture import published_architecture
from archsearch.errors import ExecutionError
from archsearch.execution import LocalExecutor
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.values import Compute, EpochReport, Job, Result

_WORKER_TIMEOUT_S = 60.0


def examine_files(subject: Subject) -> Check:
    """Whether files are written through, replaced as a whole, and locked."""
    place = subject.place
    where = f"{place} ({_file_system_of(place)})"
    try:
        with tempfile.TemporaryDirectory(prefix=".archsearch-doctor-", dir=place) as folder:
            fault = try_files(Path(folder))
    except OSError as error:
        mend = "Make it writable for you, or choose another folder with --runs-dir."
        return Check("files", "broken", f"{where}: {error.strerror or error}", mend)
    if fault:
        mend = "Choose a folder on a local disk with --runs-dir."
        return Check("files", "broken", f"{where}: {fault}", mend)
    return Check("files", "ok", f"{where}: written through, replaced whole, locked")


def try_files(folder: Path) -> str:
    """Return what does not work in a folder; empty where all does."""
    old, new = folder / "old", folder / "new"
    old.write_bytes(b"old")
    with new.open("wb") as file:
        file.write(b"new")
        file.flush()
        os.fsync(file.fileno())
    new.replace(old)
    if new.exists() or old.read_bytes() != b"new":
        return "a file is not replaced as a whole"
    try:
        with FileLock(folder / "lock", timeout=0):
            try:
                with FileLock(folder / "lock", timeout=0):
                    return "a lock does not keep a second one out"
            except Timeout:
                return ""
    except NotImplementedError as error:
        return f"files cannot be locked ({error})"


def _file_system_of(place: Path) -> str:
    mounts = {
        Path(part.mountpoint): part.fstype
        for part in psutil.disk_partitions(all=True)
        if place.is_relative_to(part.mountpoint)
    }
    return mounts[max(mounts, key=lambda mount: len(mount.parts))] if mounts else "file system unknown"


def say_hello(job: Job) -> Generator[EpochReport | Result, bool | None, Result]:
    """Be a training that ends at once, with the number of its process."""
    yield EpochReport(job.trial, job.seed, 0, {})
    return Result(job.trial, job.seed, "complete", "", 1, {"pid": os.getpid()})


def examine_worker(subject: Subject) -> Check:  # noqa: ARG001
    """Whether a worker process starts, as it would for a study, and answers."""
    job = Job(0, 0, published_architecture("resnet20"), TrainingSettings(), DataSettings(), Compute())
    mend = "See what the message says; `execution: {executor: inline}` does without workers."
    try:
        with LocalExecutor(say_hello, 1, preload=("archsearch.training.loop",)) as executor:
            executor.submit(job)
            event = executor.wait(_WORKER_TIMEOUT_S)
            while isinstance(event, EpochReport):
                event = executor.wait(_WORKER_TIMEOUT_S)
    except (ExecutionError, OSError) as error:
        return Check("worker", "broken", str(error).splitlines()[0], mend)
    if event is None:
        return Check("worker", "broken", f"no answer within {_WORKER_TIMEOUT_S:.0f} s", mend)
    assert isinstance(event, Result)
    if event.outcome != "complete" or event.metrics["pid"] == os.getpid():
        return Check("worker", "broken", event.reason.splitlines()[0], mend)
    return Check("worker", "ok", "a worker process was started and answered")
