"""How many workers share a GPU: as many as its memory takes and its idle time has room for."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.data.module import ImageDataModule
from archsearch.errors import ArchsearchError
from archsearch.models import build_network
from archsearch.study.settings import TrainingSettings
from archsearch.training.compute import add_reason
from archsearch.training.evaluation import build_fabric
from archsearch.training.failure import describe_failure
from archsearch.training.measuring import build_trainer, find_middle
from archsearch.training.memory import CONTEXT_MIB, measure_free_mib, return_memory
from archsearch.training.packing import put_side_by_side
from archsearch.training.values import Compute

_MIB = 2**20
_WARM_UP_STEPS = 3
_MOST_STEPS = 50
_TIME_LIMIT_S = 1.0
# Evaluation has larger batches, and the allocator cannot use what lies between its blocks.
_MEMORY_MARGIN = 1.25


@dataclass(frozen=True)
class Occupancy:
    """What one worker takes of a GPU.

    Attributes:
        busy_frac: Share of the time of its steps in which the GPU computes.
        need_mib: Memory of the largest network in training, with the data and what every process takes.
        free_mib: Memory that is free for all workers.
    """

    busy_frac: float
    need_mib: float
    free_mib: float

    def count_workers(self, cores: int) -> int:
        """Count the workers that keep the GPU busy and fit it, with a core each.

        Kernels of several processes take turns on a GPU, so more workers than fill its time gain nothing.
        """
        return max(1, min(round(1 / self.busy_frac), int(self.free_mib / self.need_mib), cores))


def choose_sharing(
    compute: Compute,
    architectures: Sequence[Architecture],
    largest: Architecture,
    training: TrainingSettings,
    dataset: Dataset,
    *,
    cores: int,
) -> Compute:
    """Choose how many workers share a GPU, each training one job or pack at a time.

    The time that the network in the middle of the compute leaves the GPU idle is measured with its kernels'
    times, and the memory of the largest one at its peak, both packed and captured as trials will be.

    Args:
        compute: Precision, memory format, capturing and packing as they have been chosen.
        architectures: Those that the study may train.
        largest: The one that takes most memory.
        training: Batch size, augmentation and optimizer.
        dataset: As trials will use it.
        cores: For the workers of one GPU.
    """
    try:
        busy_frac = measure_busy_frac(compute, find_middle(architectures, dataset), training, dataset)
        return_memory(compute.device, thoroughly=True)
        need_mib = measure_need_mib(compute, largest, training, dataset)
    # Whatever it is: it must not end the study.
    except (ArchsearchError, RuntimeError, AssertionError, MemoryError) as error:
        why = describe_failure(error).splitlines()[0]
        return add_reason(compute, f"one worker a GPU, as its occupancy cannot be measured: {why}")
    finally:
        return_memory(compute.device, thoroughly=True)
    occupancy = Occupancy(busy_frac, need_mib, measure_free_mib(compute.device))
    workers = occupancy.count_workers(cores)
    return add_reason(
        replace(compute, workers_per_device=workers),
        f"workers a GPU: {workers} (one keeps it busy for {busy_frac:.0%} of the time and takes at most "
        f"{need_mib:,.0f} of {occupancy.free_mib:,.0f} MiB; {cores} cores)",
    )


def measure_busy_frac(
    compute: Compute, architecture: Architecture, training: TrainingSettings, dataset: Dataset
) -> float:
    """Measure in which share of the time of its steps a training keeps the GPU computing."""
    loop = Loop(compute, architecture, training, dataset)
    loop.make_steps(_WARM_UP_STEPS)
    steps = max(1, min(_MOST_STEPS, int(_TIME_LIMIT_S / loop.time_steps(1))))
    # by the clock without the profiler, which slows the host
    seconds = loop.time_steps(steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            loop.make_steps(steps)
    busy_s = sum_kernels_s(profiler.events())
    if not busy_s:
        raise ArchsearchError("the profiler saw no kernels")
    return min(1.0, busy_s / seconds)


def sum_kernels_s(events: Iterable[Any]) -> float:
    """Sum the seconds of what ran on the GPU, leaving out the ranges that only frame it."""
    on_gpu = (event for event in events if event.device_type.name == "CUDA")
    kernels = (event.time_range.elapsed_us() for event in on_gpu if not event.is_user_annotation)
    return float(sum(kernels)) / 1e6


def measure_need_mib(
    compute: Compute, architecture: Architecture, training: TrainingSettings, dataset: Dataset
) -> float:
    """Measure the GPU's memory that a worker takes with a training."""
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    Loop(compute, architecture, training, dataset).make_steps(_WARM_UP_STEPS)
    return CONTEXT_MIB + _MEMORY_MARGIN * (torch.cuda.max_memory_reserved() - before) / _MIB


class Loop:
    """Trains one network, or a pack, on batches made as the loop of a job makes them.

    Args:
        compute: How; `pack` networks are trained together.
        architecture: What is trained.
        training: Batch size, augmentation and optimizer.
        dataset: Moved to the device.

    Attributes:
        train: The step.
    """

    def __init__(
        self, compute: Compute, architecture: Architecture, training: TrainingSettings, dataset: Dataset
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            networks = [
                build_network(architecture, dataset.input_shape, dataset.num_classes)
                for _ in range(compute.pack)
            ]
        self.train = build_trainer(compute, networks, training)
        device = build_fabric(compute.device, compute.precision).device
        batches = ImageDataModule(dataset, training, 0, device).train_dataloader()
        self._batches = [batches.seeded(seed) for seed in range(compute.pack)]

    def make_steps(self, count: int) -> None:
        """Make so many steps, no more than an epoch has, and wait for the last one."""
        loaders = [iter(batches) for batches in self._batches]
        for batch in islice(loaders[0] if len(loaders) == 1 else put_side_by_side(loaders), count):
            found = self.train(batch)
        found["loss"].item()

    def time_steps(self, count: int) -> float:
        """Make so many steps; returns the seconds they took."""
        before = time.perf_counter()
        self.make_steps(count)
        return time.perf_counter() - before
