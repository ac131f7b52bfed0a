"""What this machine offers to one study: cores and devices."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archsearch.errors import StudyError
from archsearch.study.settings import ExecutionSettings

DeviceKind = Literal["cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Devices:
    """The devices that trainings may use.

    Attributes:
        kind: cpu, cuda or mps.
        cuda: CUDA devices as CUDA_VISIBLE_DEVICES names them; empty for other kinds.
    """

    kind: DeviceKind
    cuda: tuple[str, ...] = ()


def count_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the cores this process may use: its affinity, and no more than the container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def find_devices(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> Devices:
    """Return the devices of a kind; ``auto`` takes the first there is of cuda, mps, cpu.

    Raises:
        StudyError: This machine has none of that kind.
    """
    if wanted == "cpu":
        return Devices("cpu")
    import torch

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return Devices("cuda", _visible_cuda_devices(torch.cuda.device_count()))
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return Devices("mps")
    if wanted == "auto":
        return Devices("cpu")
    raise StudyError(
        "must be a device that this machine has",
        path="execution.device",
        got=wanted,
        fix="Use auto or cpu.",
    )


def choose_devices(settings: ExecutionSettings) -> Devices:
    """Return the devices of a study: this machine's, or of a Ray cluster the kind that it asks for.

    Raises:
        StudyError: This machine has none of the kind that is asked for, or fewer than a trial takes.
    """
    if settings.executor != "ray":
        devices = find_devices(settings.device)
        _check_enough(settings.devices_per_trial, devices)
        return devices
    # The cluster may have what this machine has not. Where nothing is said, its nodes are taken to be alike.
    if settings.gpus_per_trial is not None:
        return Devices("cuda" if settings.gpus_per_trial else "cpu")
    cuda = settings.device == "cuda" or (settings.device == "auto" and find_devices("auto").kind == "cuda")
    return Devices("cuda" if cuda else "cpu")


def _check_enough(wanted: int, devices: Devices) -> None:
    # On CPUs any number of processes share the cores, so that a study for GPUs can be tried.
    there = {"cpu": wanted, "cuda": len(devices.cuda), "mps": 1}[devices.kind]
    if wanted > there:
        raise StudyError(
            f"must be at most {there}, the number of this machine's devices ({devices.kind})",
            path="execution.devices_per_trial",
            got=wanted,
            fix="With `device: cpu` processes take their place.",
        )


def group_devices(devices: Devices, each: int) -> tuple[str, ...]:
    """Return as many CUDA devices as a trial takes, for each of those that train at a time."""
    starts = range(0, len(devices.cuda) - each + 1, each)
    return tuple(",".join(devices.cuda[start : start + each]) for start in starts)


def count_workers(
    settings: ExecutionSettings, devices: Devices, threads: int = 1, *, per_device: int = 1
) -> int:
    """Return the number of trainings at a time: as set, else what devices there are, on CPUs cores.

    On a CPU even a number that is set gives way to the cores where a training takes several threads: those
    are kept for the whole study, and may come from a session with fewer workers or more cores. So it does to
    devices where a trial takes several: these are its own.
    Of a Ray cluster, which is asked only when it is needed: as many as this machine would take.

    Args:
        settings: Executor and workers.
        devices: What trainings run on.
        threads: Of one training, on a CPU.
        per_device: Workers that share a GPU, where the settings leave that open.
    """
    if settings.executor == "inline":
        return 1
    each = settings.devices_per_trial
    room = {"cpu": max(1, count_cores() // max(threads, each)), "cuda": len(devices.cuda) // each, "mps": 1}
    if settings.workers != "auto":
        several = each > 1 or (devices.kind == "cpu" and threads > 1)
        limited = several and settings.executor == "local"
        return min(settings.workers, room[devices.kind]) if limited else settings.workers
    if settings.executor == "ray":
        return max(1, int(count_cores() / settings.trial_cpus))
    if settings.workers_per_device != "auto":
        per_device = settings.workers_per_device
    return room[devices.kind] * (per_device if devices.kind == "cuda" else 1)


def count_threads(workers: int) -> int:
    """Return the threads of one worker, so that all together use every core once.

    OMP_NUM_THREADS, where it is set, is the most that a worker takes.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "")
    threads = max(1, count_cores() // workers)
    return min(threads, int(limit)) if limit.isdecimal() and int(limit) > 0 else threads


def choose_threads(settings: ExecutionSettings, devices: Devices) -> int:
    """Return the threads of one trial: on a Ray cluster its CPUs, else its part of this machine's."""
    if settings.executor == "ray":
        return max(1, int(settings.trial_cpus))
    return count_threads(count_workers(settings, devices))


def _visible_cuda_devices(count: int) -> tuple[str, ...]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    return names[:count] if names else tuple(str(index) for index in range(count))


def _quota(cgroup: Path) -> float | None:
    """Return the cores that the control group grants; None where it sets no limit."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None
