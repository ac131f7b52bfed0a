"""Which paused trial goes on, and how far: pure decisions over what the trials of a cell have shown.

A trial is paused at *rungs*, numbers of epochs. Whoever decides twice from the same curves decides the same,
so that a study goes on after a crash as it would have without it. Losses are compared at equal epochs and
among networks of similar depth, and deep networks have their grace before their first rung, as with pruners.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from archsearch.search.depth_fairness import are_similar, count_grace_epochs

_REDUCTION_FACTOR = 3
_FINALISTS = 3
_NOISE_PERCENTILE = 90


@dataclass(frozen=True)
class Contender:
    """A trial whose training was started and has not failed.

    Attributes:
        number: The trial.
        depth: Of its network.
        losses: After each epoch; smaller is better, whatever the objective.
        target: Epochs after which it is, or was, paused; those of a whole training where it is not to be.
        state: ``running``, ``paused``, or ``ended``: trained in full, or never to go on.
    """

    number: int
    depth: int
    losses: Sequence[float]
    target: int
    state: Literal["running", "paused", "ended"]


@dataclass(frozen=True)
class Promotion:
    """A paused trial goes on.

    Attributes:
        number: The trial.
        until: Epochs after which it is paused again, or complete.
    """

    number: int
    until: int


class Scheduler(Protocol):
    """Decides for one cell."""

    @abstractmethod
    def first_pause(self, depth: int) -> int:
        """Epochs after which a new trial is paused."""

    @abstractmethod
    def promote(self, contenders: Sequence[Contender], *, more: bool) -> Promotion | None:
        """Choose a paused trial that goes on now.

        Args:
            contenders: All of the cell, in any order.
            more: Whether trials are still to be made.
        """

    @abstractmethod
    def finish(self, contenders: Sequence[Contender]) -> Promotion | None:
        """Choose a paused trial that must go on although nothing is left to spend: a search has an answer."""


class Asha:
    """Asynchronous successive halving that promotes (Li et al. 2020, 1810.05934, algorithm 2).

    A trial goes on to the next rung once it is among the best 1 / `reduction_factor` of those that reached
    its own, whatever the others do; the highest rung with such a trial comes first. When nothing is left to
    be tried and no trial has been trained to its end, the best of the highest rung is.

    Args:
        epochs: Of a whole training.
        reduction_factor: η.
        least_epochs: The lowest rung.
    """

    def __init__(
        self, epochs: int, *, reduction_factor: int = _REDUCTION_FACTOR, least_epochs: int = 1
    ) -> None:
        self._epochs = epochs
        self._factor = reduction_factor
        self._rungs = [*_powers(least_epochs, reduction_factor, epochs / reduction_factor), epochs]

    def first_pause(self, depth: int) -> int:
        """The lowest rung that leaves a network of this depth its grace."""
        grace = count_grace_epochs(depth, self._epochs)
        return next(rung for rung in self._rungs if rung >= grace)

    def promote(self, contenders: Sequence[Contender], *, more: bool) -> Promotion | None:
        """See `Scheduler`."""
        for rung in reversed(self._open_rungs(contenders)):
            if (best := self._best_at(contenders, rung)) is not None:
                return self._onwards(best)
        return None if more else self.finish(contenders)

    def finish(self, contenders: Sequence[Contender]) -> Promotion | None:
        """See `Scheduler`."""
        paused = [contender for contender in contenders if contender.state == "paused"]
        whole = any(len(contender.losses) >= self._epochs for contender in contenders)
        running = any(contender.state == "running" for contender in contenders)
        if whole or running or not paused:
            return None
        return self._onwards(min(paused, key=lambda one: (-len(one.losses), one.losses[-1], one.number)))

    def _open_rungs(self, _: Sequence[Contender]) -> list[int]:
        """Rungs from which trials are promoted."""
        return self._rungs[:-1]

    def _best_at(self, contenders: Iterable[Contender], rung: int) -> Contender | None:
        """The best of the trials that are paused at a rung and may leave it."""
        reached = [contender for contender in contenders if len(contender.losses) >= rung]
        waiting = np.array([one.state == "paused" and len(one.losses) == rung for one in reached], bool)
        if not waiting.any():
            return None
        depths = np.array([contender.depth for contender in reached])
        losses = [contender.losses[rung - 1] for contender in reached]
        # of equals the earlier one is the better
        order = np.lexsort(([contender.number for contender in reached], losses))
        found = []
        for depth in np.unique(depths[waiting]):
            peers = order[are_similar(depths[order], depth)]
            best = peers[: len(peers) // self._factor]
            own = best[waiting[best] & (depths[best] == depth)]
            found += [reached[index] for index in own[:1]]
        return min(found, key=lambda one: (one.losses[rung - 1], one.number), default=None)

    def _onwards(self, contender: Contender) -> Promotion:
        reached = len(contender.losses)
        return Promotion(contender.number, next(rung for rung in self._rungs if rung > reached))


class Pasha(Asha):
    """ASHA that trains no longer than it takes to tell the best apart (Bohdal et al. 2023, 2207.06940).

    It begins with the two lowest rungs. The next one is opened once the trials on the highest open rung stand
    in another order there than on the rung below it, differences within the noise left aside (see
    `measure_noise`). The best trial is trained to its end when all else is over.
    """

    def _open_rungs(self, contenders: Sequence[Contender]) -> list[int]:
        rungs = self._rungs
        begun = max((rungs.index(contender.target) for contender in contenders), default=0)
        highest = max(1, begun)
        while highest < len(rungs) - 1 and self._is_undecided(contenders, rungs[highest - 1], rungs[highest]):
            highest += 1
        # one can be promoted to the highest, and not beyond it
        return rungs[:highest]

    @staticmethod
    def _is_undecided(contenders: Iterable[Contender], below: int, above: int) -> bool:
        top = [contender for contender in contenders if len(contender.losses) >= above]
        noise = measure_noise([contender.losses[:above] for contender in top])
        before = sorted(top, key=lambda one: (one.losses[below - 1], one.number))
        after = sorted(top, key=lambda one: (one.losses[above - 1], one.number))
        return any(
            abs(one.losses[below - 1] - other.losses[below - 1]) > noise
            for one, other in zip(before, after, strict=True)
        )


class EpochsThenBest:
    """All trials for a few epochs, then the best of them to their end (Egele et al. 2023, 2307.15422).

    Args:
        whole: Epochs of a whole training.
        epochs: Of each trial before they are compared.
        finalists: How many are trained to their end.
    """

    def __init__(self, whole: int, *, epochs: int = 1, finalists: int = _FINALISTS) -> None:
        self._whole = whole
        self._first = min(epochs, whole)
        self._finalists = finalists

    def first_pause(self, depth: int) -> int:
        """The same for all, but for a deep network's grace."""
        return max(self._first, count_grace_epochs(depth, self._whole))

    def promote(self, contenders: Sequence[Contender], *, more: bool) -> Promotion | None:
        """See `Scheduler`; nobody goes on before the last trial has had its few epochs."""
        return None if more else self._choose(contenders, self._finalists)

    def finish(self, contenders: Sequence[Contender]) -> Promotion | None:
        """See `Scheduler`."""
        return self._choose(contenders, 1)

    def _choose(self, contenders: Sequence[Contender], finalists: int) -> Promotion | None:
        paused = [contender for contender in contenders if contender.state == "paused"]
        chosen = sum(one.target >= self._whole for one in contenders if one.state != "paused")
        starting = any(one.state == "running" and one.target < self._whole for one in contenders)
        if starting or not paused or chosen >= finalists:
            return None
        best = min(paused, key=lambda one: (one.losses[-1], one.number))
        return Promotion(best.number, self._whole)


_SCHEDULERS: Mapping[str, Callable[..., Scheduler]] = {
    "asha": Asha,
    "pasha": Pasha,
    "epochs_then_best": EpochsThenBest,
}


def build_scheduler(name: str, options: Mapping[str, Any], *, epochs: int) -> Scheduler:
    """Build the scheduler of a cell.

    Args:
        name: asha, pasha or epochs_then_best.
        options: Keyword arguments of its class.
        epochs: Of a whole training.
    """
    return _SCHEDULERS[name](epochs, **options)


def measure_noise(curves: Sequence[Sequence[float]]) -> float:
    """Measure how far apart curves lie that cross there and back again; 0 where none do.

    That is the 90th percentile of the distances at their ends of all such pairs (Bohdal et al. 2023, section
    4.2): what differs by less may be chance.

    Args:
        curves: Losses by epoch, of the same epochs.
    """
    pairs = [np.subtract(one, other) for one, other in combinations(curves, 2)]
    distances = [abs(pair[-1]) for pair in pairs if _count_crossings(pair) > 1]
    return float(np.percentile(distances, _NOISE_PERCENTILE)) if distances else 0.0


def _count_crossings(differences: NDArray[np.float64]) -> int:
    signs = np.sign(differences[differences != 0])
    return int((signs[1:] != signs[:-1]).sum())


def _powers(first: int, factor: int, most: float) -> list[int]:
    found = []
    while first <= most:
        found.append(first)
        first *= factor
    return found
