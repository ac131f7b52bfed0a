"""How a study computes, decided once before its first trial: precision, threads, packing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from archsearch.application.counting import count_trainings
from archsearch.application.room import find_room, list_largest, share_batch
from archsearch.application.sampling import list_architectures
from archsearch.data import Dataset
from archsearch.execution import Devices, choose_threads, count_cores, count_threads, count_workers
from archsearch.study import StudyConfig, TrialSpec
from archsearch.study.settings import ExecutionSettings
from archsearch.training.values import Compute

# More networks side by side say no more of the arithmetic that suits them, and take longer.
_MEASURED_PACK = 4


def decide_compute(
    study: StudyConfig, specs: Sequence[TrialSpec], dataset: Dataset, devices: Devices
) -> Compute:
    """Measure what suits a study's networks on this machine; takes seconds.

    That is precision, threads, packing, and how many workers share a GPU.

    Args:
        study: The study.
        specs: Trainings that it may ask for.
        dataset: Its data.
        devices: Where it trains.
    """
    # Lightning takes seconds to import, and a study that is finished has no need of it.
    from archsearch.training.compute import add_reason, choose_pack
    from archsearch.training.occupancy import choose_sharing

    settings, (training, _) = study.execution, study.space.fixed_settings()
    compute = decide_arithmetic(study, specs, dataset, devices)
    if settings.devices_per_trial > 1:
        how = f"replicates one by one, each on {settings.devices_per_trial} devices"
        return add_reason(compute, how) if len(study.seeds) > 1 else compute
    shares_gpus = leaves_sharing_open(settings, devices)
    # a Ray cluster trains each job for itself
    if settings.executor == "ray" or not specs or (len(study.seeds) < 2 and not shares_gpus):
        return compute
    room, architectures = find_room(list_largest(specs), compute), list_architectures(specs)
    at_once = count_at_once(settings, devices, compute)
    compute = choose_pack(
        compute,
        architectures,
        training,
        dataset,
        replicates=len(study.seeds),
        fitting=room.fitting // at_once,
    )
    if not shares_gpus:
        return compute
    largest = next(architecture for architecture in architectures if architecture.id == room.largest)
    cores = count_cores() // len(devices.cuda)
    compute = choose_sharing(compute, architectures, largest, training, dataset, cores=cores)
    workers = count_workers(settings, devices, per_device=compute.workers_per_device)
    return replace(compute, threads=count_threads(workers))


def decide_arithmetic(
    study: StudyConfig, specs: Sequence[TrialSpec], dataset: Dataset, devices: Devices
) -> Compute:
    """Measure precision and threads alone."""
    from archsearch.training.compute import choose_compute
    from archsearch.training.threads import share_cores

    settings, (training, _) = study.execution, study.space.fixed_settings()
    ranks, architectures = settings.devices_per_trial, list_architectures(specs)
    training = share_batch(training, ranks)
    shares_cores = devices.kind == "cpu" and settings.executor != "ray"
    threads = 1 if shares_cores else choose_threads(settings, devices)
    packs = ranks == 1 and settings.executor != "ray"
    # A search may have no seeds to confirm its best under.
    pack = max(1, min(len(study.seeds), _MEASURED_PACK)) if packs else 1
    compute = choose_compute(
        architectures,
        training,
        dataset,
        device=devices.kind,
        threads=threads,
        may_capture=ranks == 1,
        pack=pack,
    )
    if not shares_cores:
        return compute
    fitting, trainings = find_room(list_largest(specs), compute, ranks).fitting, count_trainings(study)
    is_set = settings.workers != "auto" or settings.executor == "inline"
    return share_cores(
        compute,
        architectures,
        training,
        dataset,
        cores=count_cores(),
        counts=list_thread_counts(settings, trainings=trainings, fitting=fitting),
        leave_idle=is_set or trainings < count_cores(),
        pack=pack,
    )


def count_at_once(settings: ExecutionSettings, devices: Devices, compute: Compute) -> int:
    """Count the trainings that share the memory of one device."""
    workers = count_workers(settings, devices, compute.threads, per_device=compute.workers_per_device)
    return workers if devices.kind != "cuda" else math.ceil(workers / len(devices.cuda))


def leaves_sharing_open(settings: ExecutionSettings, devices: Devices) -> bool:
    """Whether it is to be measured how many workers share a GPU."""
    is_set = settings.workers != "auto" or settings.workers_per_device != "auto"
    shared = settings.executor == "local" and settings.devices_per_trial == 1
    return devices.kind == "cuda" and shared and not is_set


def list_thread_counts(settings: ExecutionSettings, *, trainings: int, fitting: int) -> list[int]:
    """List the numbers of threads that a training on a CPU may take, rising: powers of two and the ends.

    Args:
        settings: Executor and workers.
        trainings: Of the whole study: cores that none of them needs are free for more threads.
        fitting: Trainings of the largest network that the memory takes at once: where it does not take one a
            core, the cores are shared by fewer. A number of workers that is set stands.
    """
    cores, least = count_cores(), 1
    if settings.devices_per_trial > 1:
        # Processes that take the place of devices share the threads of their trial, each at least one.
        return [max(settings.devices_per_trial, choose_threads(settings, Devices("cpu")))]
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
    """Say where fewer trainings run at a time than were asked for, or with other threads, and why."""
    wanted, each = settings.workers, settings.devices_per_trial
    if each > 1 and wanted != "auto" and settings.executor == "local":
        workers = count_workers(settings, devices, threads)
        few = f"Devices for {workers} of the {wanted} workers are there, at {each} a trial."
        return few if workers < wanted else ""
    if devices.kind != "cpu" or settings.executor == "ray" or threads == 1:
        return ""
    cores, kept = count_cores(), f"The {threads} threads that each training of this study began with are kept"
    if threads > max(cores, each):
        return f"{kept}, on {cores} cores: another number would change results in the last bits."
    workers = count_workers(settings, devices, threads)
    if settings.workers != "auto" and settings.executor == "local" and workers < settings.workers:
        return f"{kept}, so {cores} cores take {workers} of the {settings.workers} workers."
    return ""
