"""What this machine makes of a study: how fast it trains the networks, and whether they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.application.deciding import count_at_once, decide_arithmetic
from archsearch.application.room import Room, find_room, share_batch
from archsearch.data import load_dataset
from archsearch.execution import choose_devices, count_workers, find_devices
from archsearch.models import count_cost
from archsearch.study import StudyConfig, TrialSpec


@dataclass(frozen=True)
class Estimate:
    """What was measured and estimated.

    Attributes:
        workers: Trainings at a time.
        threads: Of each of them.
        together: Replicates that each of them trains as one network.
        macs_per_s: Of forward passes, while one network trains.
        room: Memory that is free here, and that each training needs.
        memory_warning: What it may not suffice for; empty where all fits.
        measured: What the speed rests on.
    """

    workers: int
    threads: int
    together: int
    macs_per_s: float
    room: Room
    memory_warning: str
    measured: str


def estimate_trainings(study: StudyConfig, specs: Sequence[TrialSpec]) -> Estimate:
    """Time some steps of training of the network in the middle of the compute, and trace the memory of all.

    Raises:
        StudyError: This machine cannot run the study.
    """
    devices = choose_devices(study.execution)
    if not specs:
        workers = count_workers(study.execution, devices)
        return Estimate(workers, 1, 1, 1.0, Room(0.0, {}), "", "Nothing can be trained.")
    # Lightning takes seconds to import.
    from archsearch.training.measuring import measure_step

    here, where = devices, ""
    if devices.kind == "cuda" and find_devices("auto").kind != "cuda":
        # A cluster's devices, which an estimate does not ask for.
        here = find_devices("auto")
        where = f" on this machine's {here.kind}, not on the cluster"
    compute = decide_arithmetic(study, specs, load_dataset(specs[0].data), here)
    median = sorted(specs, key=_macs)[len(specs) // 2]
    dataset = load_dataset(median.data)
    ranks = study.execution.devices_per_trial
    images, seconds = measure_step(median.architecture, share_batch(median.training, ranks), dataset, compute)
    room = find_room(specs, compute, ranks)
    on_cluster = study.execution.executor == "ray"
    return Estimate(
        workers=count_workers(study.execution, devices, compute.threads),
        threads=compute.threads,
        together=compute.pack,
        # on CPUs the threads that were measured are those of all ranks
        macs_per_s=_macs(median) * images / seconds * (ranks if devices.kind == "cuda" else 1),
        room=room,
        memory_warning="" if on_cluster else room.warn(count_at_once(study.execution, here, compute)),
        measured=(
            f"Measured{where}: {median.architecture.name}, {images} images in {seconds * 1000:.1f} ms a step."
        ),
    )


def _macs(spec: TrialSpec) -> int:
    dataset = load_dataset(spec.data)
    return count_cost(spec.architecture, dataset.input_shape, dataset.num_classes).macs
