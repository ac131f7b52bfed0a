"""Steps of training, timed as the loop makes them, in turns and for at most a few seconds."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import nn

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.data.module import Batch, ImageDataModule
from archsearch.errors import ArchsearchError
from archsearch.models import build_network, count_cost
from archsearch.study.settings import TrainingSettings
from archsearch.training.captured import build_training_step
from archsearch.training.evaluation import build_fabric, settle_determinism
from archsearch.training.module import Classifier
from archsearch.training.packing import PackedClassifier, put_side_by_side
from archsearch.training.step import TrainingStep
from archsearch.training.values import Compute

_ROUNDS = 5
_TIME_LIMIT_S = 2.0
# Small batches say the same of a CPU; of a GPU they say how fast it is fed.
_LARGEST_BATCH = {"cpu": 64, "cuda": 1024, "mps": 1024}
# Forward multiply-accumulates of a timed step on a CPU: about a third of a second on one core.
_STEP_MACS = 3e9
# What batch norm can train on, whatever is left of the resolution.
_SMALLEST_BATCH = 2


@dataclass(frozen=True)
class Timing:
    """A candidate and its median seconds a step."""

    compute: Compute
    seconds: float

    def __str__(self) -> str:
        return f"{describe_arithmetic(self.compute)} {self.seconds * 1000:.1f} ms"


def describe_arithmetic(compute: Compute) -> str:
    """Name the precision, and where they are used channels last and capturing."""
    layout = ", channels last" if compute.channels_last else ""
    return f"{compute.precision}{layout}{', captured' if compute.captured else ''}"


def measure_step(
    architecture: Architecture, training: TrainingSettings, dataset: Dataset, compute: Compute
) -> tuple[int, float]:
    """Time steps of training, as the loop makes them.

    Returns:
        Images a step (a batch, on a CPU at most 64), and the median of its seconds.
    """
    torch.set_num_threads(compute.threads)
    batch = sample_batch(architecture, training, dataset, compute.device)
    with torch.random.fork_rng(devices=[]):
        network = build_network(architecture, dataset.input_shape, dataset.num_classes)
    (timing,) = time_in_turns([compute], [build_step(compute, [network], training, batch)])
    return len(batch[1]), timing.seconds


def find_middle(architectures: Sequence[Architecture], dataset: Dataset) -> Architecture:
    """Return the architecture in the middle of the compute: of all MACs, half are of it and smaller ones."""

    def macs(architecture: Architecture) -> int:
        return count_cost(architecture, dataset.input_shape, dataset.num_classes).macs

    rising = sorted(architectures, key=macs)
    spent = list(accumulate(map(macs, rising)))
    return rising[bisect_left(spent, spent[-1] / 2)]


def sample_batch(
    architecture: Architecture, training: TrainingSettings, dataset: Dataset, device: str
) -> Batch:
    """Return training images to time steps with: a batch, on a CPU at most 64, fewer for a large network."""
    size = min(training.batch_size, _LARGEST_BATCH[device], len(dataset.train))
    if device == "cpu":
        macs = count_cost(architecture, dataset.input_shape, dataset.num_classes).macs
        size = min(size, max(_SMALLEST_BATCH, int(_STEP_MACS / macs)))
    data = ImageDataModule(dataset, training.model_copy(update={"batch_size": size}), seed=0)
    return next(iter(data.train_dataloader()))


def build_step(
    compute: Compute, networks: Sequence[nn.Module], training: TrainingSettings, batch: Batch
) -> Callable[[], None]:
    """Build a step of training as the loop makes it, which waits for the device. Several networks are packed.

    The step raises an ArchsearchError where it cannot be captured as it should.
    """
    settle_determinism(training.deterministic)
    train = build_trainer(compute, networks, training)
    device = build_fabric(compute.device, compute.precision).device
    images, labels = batch
    on_device = (images.to(device), labels.to(device))
    if len(networks) > 1:
        on_device = next(put_side_by_side([iter([on_device]) for _ in networks]))

    def step() -> None:
        # Reading a value waits for an accelerator to finish.
        train(on_device)["loss"].item()
        if train.note:
            raise ArchsearchError(train.note)

    return step


def build_trainer(
    compute: Compute, networks: Sequence[nn.Module], training: TrainingSettings
) -> TrainingStep:
    """Build a step of training that takes batches, on the device. Several networks are packed."""
    fabric = build_fabric(compute.device, compute.precision)
    modules = [
        Classifier(network, training, steps_per_epoch=_ROUNDS + 1, channels_last=compute.channels_last).to(
            fabric.device
        )
        for network in networks
    ]
    module = modules[0] if len(modules) == 1 else PackedClassifier(modules)
    module.train()
    return build_training_step(fabric, module, captured=compute.captured)


def time_in_turns(
    candidates: Sequence[Compute], steps: Sequence[Callable[[], None]], *, limit_s: float = _TIME_LIMIT_S
) -> list[Timing]:
    """Time all candidates round by round, so that a busy machine slows them alike.

    The first round warms up, and counts where it takes so long that there is no time for another.
    """
    start = time.perf_counter()
    rounds: list[list[float]] = []
    while len(rounds) <= _ROUNDS and (not rounds or time.perf_counter() - start <= limit_s):
        rounds.append([_seconds(step) for step in steps])
    counted = rounds[1:] or rounds
    medians = [statistics.median(times) for times in zip(*counted, strict=True)]
    return [Timing(compute, seconds) for compute, seconds in zip(candidates, medians, strict=True)]


def _seconds(step: Callable[[], None]) -> float:
    before = time.perf_counter()
    step()
    return time.perf_counter() - before
