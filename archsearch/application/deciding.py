"""How a study computes, decided once before its first trial: precision, threads, packing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archsearch.application.counting import count_trainings
from archsearch.application.room import find_room
from archsearch.application.sampling import list_architectures
from archsearch.data import Dataset
from archsearch.execution import Devices, choose_threads, count_cores, count_threads, count_workers
from archsearch.study import StudyConfig, TrialSpec
from archsearch.study.settings import ExecutionSettings
from archsearch.training.values import Compute


def decide_compute(
    study: StudyConfig, specs: Sequence[TrialSpec], dataset: Dataset, devices: Devices
) -> Compute:
    """Measure what suits a study's networks on this machine: precision, threads, packing; takes seconds.

    Args:
        study: The study.
        specs: Trainings that it may ask for.
        dataset: Its data.
        devices: Where it trains.
    """
    # Lightning takes seconds to import, and a study that is finished has no need of it.
    from archsearch.training.compute import choose_pack

    compute = decide_arithmetic(study, specs, dataset, devices)
    # a Ray cluster trains each job for itself
    if study.execution.executor == "ray" or len(study.seeds) < 2:
        return compute
    at_once = count_at_once(study.execution, devices, compute)
    return choose_pack(
        compute,
        list_architectures(specs),
        study.space.fixed_settings()[0],
        dataset,
        replicates=len(study.seeds),
        fitting=find_room(specs, compute).fitting // at_once,
    )


def decide_arithmetic(
    study: StudyConfig, specs: Sequence[TrialSpec], dataset: Dataset, devices: Devices
) -> Compute:
    """Measure precision and threads alone."""
    from archsearch.training.compute import choose_compute
    from archsearch.training.threads import share_cores

    settings, (training, _) = study.execution, study.space.fixed_settings()
    architectures = list_architectures(specs)
    shares_cores = devices.kind == "cpu" and settings.executor != "ray"
    threads = 1 if shares_cores else choose_threads(settings, devices)
    compute = choose_compute(architectures, training, dataset, device=devices.kind, threads=threads)
    if not shares_cores:
        return compute
    fitting = find_room(specs, compute).fitting
    return share_cores(
        compute,
        architectures,
        training,
        dataset,
        cores=count_cores(),
        counts=list_thread_counts(settings, trainings=count_trainings(study), fitting=fitting),
        leave_idle=settings.workers != "auto" or settings.executor == "inline",
    )


def count_at_once(settings: ExecutionSettings, devices: Devices, compute: Compute) -> int:
    """Count the trainings that share the memory of one device."""
    workers = count_workers(settings, devices, compute.threads)
    return workers if devices.kind != "cuda" else compute.workers_per_device


def list_thread_counts(settings: ExecutionSettings, *, trainings: int, fitting: int) -> list[int]:
    """List the numbers of threads that a training on a CPU may take, rising: powers of two and the ends.

    Args:
        settings: Executor and workers.
        trainings: Of the whole study: cores that none of them needs are free for more threads.
        fitting: Trainings of the largest network that the memory takes at once: where it does not take one a
            core, the cores are shared by fewer. A number of workers that is set stands.
    """
    cores, least = count_cores(), 1
    if settings.executor == "inline":
        workers = 1
    elif settings.workers != "auto":
        workers = settings.workers
    else:
        workers = trainings if trainings < cores else 1
        least = math.ceil(cores / min(fitting, cores))
    most = count_threads(workers)
    least = min(least, most)
    powers = (2**power for power in range(most.bit_length()))
    return sorted({least, most, *(power for power in powers if least < power < most)})


def explain_workers(settings: ExecutionSettings, devices: Devices, threads: int) -> str:
    """Say what follows from the threads that a study began with, where this is not what was asked for."""
    if devices.kind != "cpu" or settings.executor == "ray" or threads == 1:
        return ""
    cores, kept = count_cores(), f"The {threads} threads that each training of this study began with are kept"
    if threads > cores:
        return f"{kept}, on {cores} cores: another number would change results in the last bits."
    workers = count_workers(settings, devices, threads)
    if settings.workers != "auto" and settings.executor == "local" and workers < settings.workers:
        return f"{kept}, so {cores} cores take {workers} of the {settings.workers} workers."
    return ""
