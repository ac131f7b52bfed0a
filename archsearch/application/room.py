"""The memory that a study's trainings take, against what this machine has free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.data import Dataset
from archsearch.study import TrialSpec
from archsearch.training.values import Compute

# What a worker process takes for itself, besides the libraries that all share.
_WORKER_MIB = 200.0


@dataclass(frozen=True)
class Room:
    """Free memory and the need of single trainings, estimated, in MiB.

    Attributes:
        free_mib: Of the device; on CPUs of the machine, which all workers share.
        needs_mib: By the network's name.
    """

    free_mib: float
    needs_mib: Mapping[str, float]

    @property
    def fitting(self) -> int:
        """How many trainings of the largest network fit at once; at least 1."""
        return max(1, int(self.free_mib / (max(self.needs_mib.values(), default=0.0) + _WORKER_MIB)))

    def warn(self, at_once: int) -> str:
        """Say what would not fit, with so many trainings at once; empty where all does."""
        too_large = {name: need for name, need in self.needs_mib.items() if need > self.free_mib}
        if not self.needs_mib or (not too_large and at_once <= self.fitting):
            return ""
        largest = max(self.needs_mib, key=lambda name: self.needs_mib[name])
        need = f"{largest} needs about {self.needs_mib[largest]:,.0f} MiB"
        if too_large:
            others = f", and {len(too_large) - 1} more need too much" if len(too_large) > 1 else ""
            what = f"{need}{others}"
        else:
            what = f"{at_once} trainings run at once, of which {need}"
        return (
            f"The memory may not suffice: {what}; {self.free_mib:,.0f} MiB are free. "
            "A smaller batch_size or gradient_checkpointing needs less."
        )


def find_room(specs: Sequence[TrialSpec], dataset: Dataset, compute: Compute) -> Room:
    """Estimate what each training needs, and measure what is free."""
    from archsearch.training.footprint import estimate_footprint
    from archsearch.training.memory import measure_free_mib

    needs_mib: dict[str, float] = {}
    for spec in specs:
        name = spec.architecture.name
        peak_mib = estimate_footprint(spec.architecture, spec.training, dataset, compute).peak_mib
        needs_mib[name] = max(peak_mib, needs_mib.get(name, 0.0))
    return Room(measure_free_mib(compute.device), needs_mib)
