"""Threads of one training on a CPU, measured once a study.

Their number changes results in the last bits, so it is kept whatever machine the study goes on with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from threading import Barrier

import torch
from torch import nn

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.data.module import Batch
from archsearch.errors import ArchsearchError, PackingError
from archsearch.models import build_network
from archsearch.study.settings import TrainingSettings
from archsearch.training.compute import NEEDED_GAIN, add_reason
from archsearch.training.failure import describe_failure
from archsearch.training.measuring import build_step, find_middle, sample_batch, time_in_turns
from archsearch.training.values import Compute

# Workers of one thread each compete for memory: two were seen to slow each other down by a fifth at most.
# With each doubling of them half as much again is allowed for; what gains less from its threads when it is
# alone is not timed again with every core busy.
_COMPETITION_A_DOUBLING = 0.5
_LIMIT_S = 0.5
_MOST_STEPS = 5


def share_cores(
    compute: Compute,
    architectures: Sequence[Architecture],
    training: TrainingSettings,
    dataset: Dataset,
    *,
    cores: int,
    counts: Sequence[int],
    leave_idle: bool,
    pack: int = 1,
) -> Compute:
    """Choose how many threads each training takes, so that no core is asked for twice.

    Steps of the network in the middle of the compute are timed alone with each number of threads, in turns.
    More are taken where they make a step at least 10 % faster. Where the number of workers is free, more
    threads mean fewer workers: what was faster alone is timed again with every core busy, and fewer workers
    must make the machine as a whole at least 10 % faster.

    Args:
        compute: Precision and memory format, as `choose_compute` gives them.
        architectures: Those that the study may train.
        training: Batch size and optimizer.
        dataset: For the shape of the images and the number of classes.
        cores: What all workers share.
        counts: Numbers of threads to choose from, rising.
        leave_idle: Whether cores that a training does not take stay idle, for there is no other to take them.
        pack: Networks that will probably be trained as one, where they can be packed.
    """
    compute = replace(compute, threads=counts[0])
    if len(counts) == 1 or not architectures:
        return compute
    architecture = find_middle(architectures, dataset)
    try:
        probe = _Probe.of(compute, architecture, training, dataset, pack)
        seconds, how = probe.time_alone(counts), "a step alone"
        tried = [
            count
            for count, alone in seconds.items()
            if leave_idle or seconds[counts[0]] >= alone * _least_gain(count / counts[0])
        ]
        too_little = ", too little for fewer workers" if fewest_that_gain(seconds) not in tried else ""
        if not leave_idle and len(tried) > 1:
            seconds, how = probe.time_together(tried, cores), f"a step when {cores} cores are busy"
    # A network that cannot be trained here fails as a trial, with its reason; it must not end the study.
    except (ArchsearchError, RuntimeError, MemoryError) as error:
        why = describe_failure(error).splitlines()[0]
        return add_reason(compute, f"threads: {counts[0]}, as {architecture.name} cannot be measured: {why}")
    chosen = fewest_that_gain({count: seconds[count] for count in tried})
    measured = ", ".join(f"{count}: {taken * 1000:.1f} ms" for count, taken in seconds.items())
    packed = f", {probe.pack} packed" if probe.pack > 1 else ""
    why = f"threads a worker: {chosen} ({architecture.name}{packed}, {how} on {measured}{too_little})"
    return add_reason(replace(compute, threads=chosen), why)


def fewest_that_gain(seconds: Mapping[int, float]) -> int:
    """Return the fewest threads, or more of them where each time the gain is at least 10 %.

    Args:
        seconds: Of a step, by number of threads, rising.
    """
    chosen = next(iter(seconds))
    for count, taken in seconds.items():
        if taken * NEEDED_GAIN <= seconds[chosen]:
            chosen = count
    return chosen


def _least_gain(times: float) -> float:
    """How much faster a step with so many times the threads must be alone, to gain with every core busy."""
    return times / (1 + _COMPETITION_A_DOUBLING * math.log2(times))


@dataclass(frozen=True)
class _Probe:
    """A step of one network, or of several packed into one, ready to be timed."""

    compute: Compute
    architecture: Architecture
    training: TrainingSettings
    dataset: Dataset
    batch: Batch
    pack: int

    @classmethod
    def of(
        cls,
        compute: Compute,
        architecture: Architecture,
        training: TrainingSettings,
        dataset: Dataset,
        pack: int,
    ) -> _Probe:
        batch = sample_batch(architecture, training, dataset, compute.device)
        probe = cls(compute, architecture, training, dataset, batch, pack)
        try:
            build_step(compute, probe._build(), training, batch)
        except PackingError:
            return replace(probe, pack=1)
        return probe

    def time_alone(self, counts: Sequence[int]) -> dict[int, float]:
        """Time a step of one training with rising numbers of threads, until more of them gain nothing."""
        # the same networks for all: they train on, and their steps stay alike
        step = build_step(self.compute, self._build(), self.training, self.batch)
        seconds: dict[int, float] = {}
        for fewer, more in pairwise(counts):
            pair = [replace(self.compute, threads=count) for count in (fewer, more)]
            steps = [partial(_step_on, count, step) for count in (fewer, more)]
            timings = time_in_turns(pair, steps, limit_s=_LIMIT_S)
            seconds |= {timing.compute.threads: timing.seconds for timing in timings}
            if fewest_that_gain(seconds) != more:
                break
        return seconds

    def time_together(self, counts: Sequence[int], cores: int) -> dict[int, float]:
        """Time all cores' steps by number of threads: seconds in which the machine completes one."""
        return {count: 1 / sum(self._rates(count, cores // count)) for count in counts}

    def _rates(self, threads: int, workers: int) -> list[float]:
        """Steps a second of each of some trainings at once.

        They run in threads of this process, for new processes take seconds to start: the kernels of networks
        that are large enough for the question run without the interpreter's lock.
        """
        barrier = Barrier(workers)

        def rate(networks: list[nn.Module]) -> float:
            try:
                torch.set_num_threads(threads)
                step = build_step(self.compute, networks, self.training, self.batch)
                step()
                before = time.perf_counter()
                step()
                steps = min(_MOST_STEPS, 1 + int(_LIMIT_S / (time.perf_counter() - before)))
                barrier.wait()
                start = time.perf_counter()
                for _ in range(steps):
                    step()
                return steps / (time.perf_counter() - start)
            except BaseException:
                barrier.abort()
                raise

        with ThreadPoolExecutor(workers) as pool:
            networks = self._build()
            return list(pool.map(rate, [deepcopy(networks) for _ in range(workers)]))

    def _build(self) -> list[nn.Module]:
        with torch.random.fork_rng(devices=[]):
            shape, classes = self.dataset.input_shape, self.dataset.num_classes
            return [build_network(self.architecture, shape, classes) for _ in range(self.pack)]


def _step_on(threads: int, step: Callable[[], None]) -> None:
    torch.set_num_threads(threads)
    step()
