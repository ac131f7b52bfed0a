"""How much work a training is, counted: of networks that are known, and of those that are still to come."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from archsearch.errors import InputError
from archsearch.journal import TrialHistory
from archsearch.study import Cell, StudyConfig, sample_search

if TYPE_CHECKING:
    from archsearch.search.candidates import Candidate

_SAMPLES = 64
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Work:
    """The work of one training, by the two things that take time.

    Attributes:
        macs: Of the forward passes over the training images of one epoch: what large networks take time for.
        calls: Layers times steps of one epoch: what small ones take time for, whatever their width.
        epochs: Epochs; an expected number need not be whole.
    """

    macs: float
    calls: float
    epochs: float

    def packed(self, replicates: int) -> Work:
        """The share of one of several replicates that are trained as one network."""
        return Work(self.macs, self.calls / replicates, self.epochs)


class Workload:
    """Counts the work of a study's trainings.

    Args:
        study: The study.
        train_images: Number of its training images.
        clock: Seconds, for the time that may be spent on networks that are still to come.
    """

    def __init__(
        self, study: StudyConfig, train_images: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study = study
        self._train_images = train_images
        self._clock = clock
        self._cells: dict[int, Work] = {}
        self._sizes: dict[int, float] = {}
        self._by_size: list[tuple[float, Work]] = []
        self._baselines: dict[str, Work] = {}

    def of_trial(self, trial: TrialHistory) -> Work:
        """The work of one of a trial's trainings."""
        return self._count(trial.macs or 0, trial.architecture.get("depth", 0), trial.training, trial.data)

    def of_baseline(self, name: str) -> Work:
        """The same of a published network of the study's `include`."""
        if name not in self._baselines:
            # It counts networks, for which it imports torch.
            from archsearch.search.candidates import examine_baseline

            work = self._examined(examine_baseline(self._study, name))
            self._baselines[name] = work or Work(0, 0, 0)
        return self._baselines[name]

    def of_cell(self, cell: Cell) -> Work:
        """What is to be expected of a trial of a cell, after `look_ahead`: the mean over samples.

        Of a cell that was not counted: that of one of about its size, in proportion.
        """
        known = self._cells.get(cell.index)
        if known is None and self._by_size:
            known = self._in_proportion(self._size(cell))
        return known or Work(0, 0, 0)

    def _in_proportion(self, size: float) -> Work:
        after = bisect_left(self._by_size, size, key=itemgetter(0))
        nearest, work = min(
            self._by_size[max(0, after - 1) : after + 1], key=lambda pair: abs(pair[0] - size)
        )
        return Work(work.macs * size / nearest, work.calls * size / nearest, work.epochs)

    def look_ahead(self, cells: Iterable[Cell]) -> None:
        """Count networks of cells that have trials to come, in turns: one, and more for two seconds."""
        from archsearch.search.candidates import examine

        started, spread = math.inf, _spread(list(cells))
        most = max(1, _SAMPLES // max(1, len(spread)))
        samples = [sample_search(self._study.space, cell.values, most) for cell in spread]
        found: dict[int, list[Work]] = {}
        rounds = zip_longest(*([(cell, s) for s in some] for cell, some in zip(spread, samples, strict=True)))
        for pair in chain.from_iterable(rounds):
            if pair is None:
                continue
            cell, values = pair
            work = self._examined(examine(self._study, {**cell.values, **values}))
            if work is not None:
                found.setdefault(cell.index, []).append(work)
            # The first count of all finds torch asleep, which takes seconds on some machines.
            started = min(started, self._clock())
            if self._clock() - started > _PATIENCE_S:
                break
        self._cells |= {index: _mean(works) for index, works in found.items()}
        counted = [(self._size(cell), self._cells[cell.index]) for cell in spread if cell.index in found]
        self._by_size = sorted(counted, key=itemgetter(0))

    def _size(self, cell: Cell) -> float:
        """The size of a cell's first network that can be built."""
        if cell.index not in self._sizes:
            self._sizes[cell.index] = 1.0
            for values in sample_search(self._study.space, cell.values, 1):
                with suppress(InputError):
                    architecture = self._study.resolve({**cell.values, **values}).architecture
                    self._sizes[cell.index] = estimate_size(architecture.depth, architecture.width)
        return self._sizes[cell.index]

    def _examined(self, candidate: Candidate) -> Work | None:
        if candidate.reason or candidate.spec is None or candidate.cost is None:
            return None
        spec = candidate.spec
        training, data = spec.training.model_dump(), spec.data.model_dump()
        return self._count(candidate.cost.macs, spec.architecture.depth, training, data)

    def _count(self, macs: int, depth: int, training: Mapping[str, Any], data: Mapping[str, Any]) -> Work:
        images = min(self._train_images, data.get("train_limit") or self._train_images)
        steps = math.ceil(images / training["batch_size"])
        return Work(macs * images, depth * steps, training["epochs"])


def estimate_size(depth: int, width: float) -> float:
    """About in what proportion a network takes time: layers without the first and the last, width squared."""
    return max(1, depth - 2) * width**2


def _spread(cells: list[Cell]) -> list[Cell]:
    """Order cells so that any first few of them lie far apart: halves, quarters, eighths."""
    bits = max(1, (len(cells) - 1).bit_length())
    reversed_bits = (int(f"{index:0{bits}b}"[::-1], 2) for index in range(2**bits))
    return [cells[index] for index in reversed_bits if index < len(cells)]


def _mean(works: list[Work]) -> Work:
    epochs = sum(work.epochs for work in works)
    return Work(
        macs=sum(work.macs * work.epochs for work in works) / epochs,
        calls=sum(work.calls * work.epochs for work in works) / epochs,
        epochs=epochs / len(works),
    )
