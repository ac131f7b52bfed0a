"""The memory that a study's trainings take, against what this machine has free."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.data import load_dataset
from archsearch.models import count_cost
from archsearch.study import TrialSpec
from archsearch.study.settings import TrainingSettings
from archsearch.training.values import Compute

# What a worker process takes for itself, besides the libraries that all share.
_WORKER_MIB = 200.0
_LARGEST = 4


@dataclass(frozen=True)
class Need:
    """The estimated peak of one training of a network, in MiB."""

    name: str
    peak_mib: float


@dataclass(frozen=True)
class Room:
    """Free memory, and what single trainings need of it.

    Attributes:
        free_mib: Of the device; on CPUs of the machine, which all workers share.
        needs: By the architecture's id; where it is trained in several ways, the largest need.
    """

    free_mib: float
    needs: Mapping[str, Need]

    @property
    def largest(self) -> str:
        """Id of the architecture that needs most; empty where there is none."""
        return max(self.needs, key=lambda id_: self.needs[id_].peak_mib, default="")

    @property
    def fitting(self) -> int:
        """How many trainings of the largest network fit at once; at least 1."""
        largest_mib = self.needs[self.largest].peak_mib if self.needs else 0.0
        return max(1, int(self.free_mib / (largest_mib + _WORKER_MIB)))

    def warn(self, at_once: int) -> str:
        """Say what would not fit, with so many trainings at once; empty where all does."""
        ranked = sorted(self.needs.values(), key=lambda need: -need.peak_mib)
        alone = sum(need.peak_mib > self.free_mib for need in ranked)
        if not ranked or (not alone and at_once <= self.fitting):
            return ""
        what = f"{ranked[0].name} takes about {ranked[0].peak_mib:,.0f} MiB"
        if alone > 1:
            what += f", and {alone - 1} more take too much"
        if not alone:
            what += f" in each of {at_once} trainings at once"
        return (
            f"The memory may not suffice: {what}, and {self.free_mib:,.0f} MiB are free. "
            "A smaller batch_size takes less, and so does gradient_checkpointing."
        )


def share_batch(training: TrainingSettings, ranks: int) -> TrainingSettings:
    """Return the settings with the share of a batch that one of several ranks takes."""
    return training.model_copy(update={"batch_size": math.ceil(training.batch_size / ranks)})


def list_largest(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Return the few trainings of which one takes the most memory; tracing all of a search takes seconds."""

    def size_mib(spec: TrialSpec) -> float:
        dataset = load_dataset(spec.data)
        cost = count_cost(spec.architecture, dataset.input_shape, dataset.num_classes)
        return cost.activation_mib * spec.training.batch_size + 16 * cost.parameters / 2**20

    return heapq.nlargest(_LARGEST, specs, key=size_mib)


def find_room(specs: Sequence[TrialSpec], compute: Compute, ranks: int = 1) -> Room:
    """Estimate what each training needs by itself, and measure what is free.

    Args:
        specs: Trainings.
        compute: How they compute.
        ranks: Devices that train each of them together: what one of these needs, on CPUs what all need.
    """
    # Lightning takes seconds to import.
    from archsearch.training.footprint import estimate_footprint
    from archsearch.training.memory import measure_free_mib

    needs: dict[str, Need] = {}
    for spec in specs:
        architecture = spec.architecture
        dataset = load_dataset(spec.data)
        training = share_batch(spec.training, ranks)
        peak_mib = estimate_footprint(architecture, training, dataset, compute).peak_mib / compute.pack
        peak_mib *= ranks if compute.device == "cpu" else 1
        known = needs.get(architecture.id)
        if known is None or known.peak_mib < peak_mib:
            needs[architecture.id] = Need(architecture.name, peak_mib)
    return Room(measure_free_mib(compute.device), needs)
