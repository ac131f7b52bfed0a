"""Processor, memory, disks, GPUs, clock: what does not depend on what is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psutil

from archsearch.application.doctor.checks import Check, Subject, shown_gib
from archsearch.application.provenance import find_processor
from archsearch.errors import StudyError
from archsearch.execution import choose_devices, count_cores
from archsearch.study.settings import ExecutionSettings
from archsearch.tracking.address import resolve_uri, sqlite_path

_LITTLE_MEMORY, _LITTLE_DISK, _NO_DISK, _LITTLE_SHM = 2**30, 2**30, 100 * 2**20, 64 * 2**20
_SKEW_S = 5.0
_NVIDIA_TIMEOUT_S = 10.0
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def examine_processor(subject: Subject) -> Check:  # noqa: ARG001
    """Model, cores, and how many of them may be used."""
    there, usable = os.cpu_count() or 1, count_cores()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    found = f"{find_processor()}, {there} cores, {affinity} by affinity, {usable} with the container's quota"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 1.5 * usable:
        mend = "Wait until it is idle before a study begins, as it then measures what is fastest."
        return Check("processor", "warning", f"{found}; busy: load {load:.1f}", mend)
    return Check("processor", "ok", found)


def examine_threads(subject: Subject) -> Check:
    """Variables that set threads, and whether all workers together ask for more cores than there are."""
    cores = count_cores()
    given = {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ}
    found = ", ".join(f"{name}={value}" for name, value in given.items()) or "no variable sets threads"
    wrong = [name for name, value in given.items() if not value.isdecimal() or not 0 < int(value) <= cores]
    if wrong:
        return Check(
            "threads", "warning", found, f"Unset {wrong[0]}, or set it to at most {cores}, the cores."
        )
    settings = subject.study.execution if subject.study else ExecutionSettings()
    if settings.executor == "local" and settings.workers != "auto" and settings.workers > cores:
        mend = f"Set execution.workers to at most {cores}, or to auto."
        return Check("threads", "warning", f"{found}; {settings.workers} workers on {cores} cores", mend)
    return Check("threads", "ok", found)


def examine_memory(subject: Subject) -> Check:  # noqa: ARG001
    """Memory that is free, and the limit of the container."""
    memory = psutil.virtual_memory()
    found = f"{shown_gib(memory.available)} of {shown_gib(memory.total)} free"
    limit = _memory_limit()
    if limit is not None and limit < memory.total:
        found += f", limited to {shown_gib(limit)} by the container"
    if min(memory.available, limit or memory.available) < _LITTLE_MEMORY:
        return Check("memory", "warning", found, "End what else takes memory, or set execution.workers: 1.")
    return Check("memory", "ok", found)


def _memory_limit() -> int | None:
    for name in _CGROUP_LIMITS:
        try:
            return int(Path(name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return None


def examine_disk(subject: Subject) -> Check:
    """Room where run folders and a SQLite store of MLflow lie."""
    tracked = subject.study.tracking.uri if subject.study else ""
    store = sqlite_path(resolve_uri(tracked))
    places = {"runs": subject.place, "MLflow": store.absolute().parent if store else subject.place}
    there = {name: path for name, path in places.items() if path.is_dir()}
    free = {name: shutil.disk_usage(path).free for name, path in there.items()}
    found = ", ".join(f"{shown_gib(size)} free for {name}" for name, size in free.items())
    mend = "Free some space there, or choose another disk with --runs-dir and tracking.uri."
    least = min(free.values())
    state = "broken" if least < _NO_DISK else "warning" if least < _LITTLE_DISK else "ok"
    return Check("disk", state, found, mend if state != "ok" else "")  # type: ignore[arg-type]


def examine_shared_memory(subject: Subject) -> Check | None:
    """Room in /dev/shm, which Ray keeps data in."""
    # Looked at, never written to.
    place = Path("/dev/shm")  # nosec B108
    if not place.is_dir():
        return None
    usage = shutil.disk_usage(place)
    found = f"{shown_gib(usage.free)} of {shown_gib(usage.total)} free in /dev/shm"
    uses_ray = subject.study is not None and subject.study.execution.executor == "ray"
    if uses_ray and usage.free < _LITTLE_SHM:
        return Check("shared memory", "warning", found, "Give the container more: docker run --shm-size=1g.")
    return Check("shared memory", "ok", found)


def examine_clock(subject: Subject) -> Check:
    """Whether the clock agrees with that of the disk, and does not lie before what was recorded."""
    now = time.time()
    shown = datetime.fromtimestamp(now).astimezone().isoformat(sep=" ", timespec="seconds")
    mend = "Set the clock, by NTP for instance: times in the journal and MLflow come from it."
    latest = 0.0
    if subject.folder and subject.folder.journal.is_file():
        latest = subject.folder.journal.stat().st_mtime
    if now < latest - _SKEW_S:
        return Check("clock", "warning", f"{shown}, {latest - now:.0f} s before the journal's end", mend)
    try:
        with tempfile.NamedTemporaryFile(dir=subject.place) as file:
            skew = Path(file.name).stat().st_mtime - now
    except OSError:
        # That it cannot be written is another check's to say.
        return Check("clock", "ok", shown)
    if abs(skew) > _SKEW_S:
        return Check("clock", "warning", f"{shown}; the disk's is {skew:+.0f} s off", mend)
    return Check("clock", "ok", shown)


def examine_devices(subject: Subject) -> Check:
    """GPUs, whether torch can use them, and whether the study's kind of device is there."""
    cards = _list_cards()
    settings = subject.study.execution if subject.study else ExecutionSettings()
    try:
        devices = choose_devices(settings)
    except StudyError as error:
        return Check("devices", "broken", f"{cards or 'no GPU'}; {error.rule}", error.fix or "Change it.")
    if cards and devices.kind == "cpu" and settings.device == "auto":
        mend = "Install torch for CUDA as pytorch.org says, or a newer driver."
        return Check("devices", "warning", f"{cards}, but torch cannot use them", mend)
    found = f"trains on {devices.kind}"
    return Check("devices", "ok", f"{cards}; {found}" if cards else f"no NVIDIA GPU; {found}")


def _list_cards() -> str:
    query = [
        "nvidia-smi",
        "--query-gpu=name,memory.total,memory.used,driver_version",
        "--format=csv,noheader",
    ]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_NVIDIA_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    cards = []
    for line in done.stdout.strip().splitlines():
        name, total, used, driver = (part.strip() for part in line.split(","))
        cards.append(f"{name} ({total}, {used} in use, driver {driver})")
    return "; ".join(cards)
