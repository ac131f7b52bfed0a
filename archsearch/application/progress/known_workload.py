"""The work of a study's trainings as far as its trials tell it: counts no network, so it needs no torch."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from operator import itemgetter

from archsearch.application.progress.workload import Work, Workload, estimate_size
from archsearch.architecture import published_architecture
from archsearch.journal import TrialHistory
from archsearch.study import Cell, StudyConfig


class KnownWorkload(Workload):
    """Judges networks that are still to come by those that were tried, in proportion to their size.

    Args:
        study: The study.
        train_images: Number of its training images.
    """

    def __init__(self, study: StudyConfig, train_images: int) -> None:
        super().__init__(study, train_images)
        self._noted: set[int] = set()

    def of_trial(self, trial: TrialHistory) -> Work:
        """The work of one of a trial's trainings; it is remembered for others."""
        work = super().of_trial(trial)
        if trial.macs and trial.number not in self._noted:
            self._noted.add(trial.number)
            size = estimate_size(trial.architecture["depth"], trial.architecture.get("width") or 1)
            insort(self._by_size, (size, work), key=itemgetter(0))
        return work

    def of_baseline(self, name: str) -> Work:
        """The same of a published network, in proportion."""
        network = published_architecture(name)
        size = estimate_size(network.depth, network.width)
        return self._in_proportion(size) if self._by_size else Work(0, 0, 0)

    def look_ahead(self, cells: Iterable[Cell]) -> None:
        """Count nothing: what was tried has to do."""
