"""How long trainings take here, from those that are under way or have ended."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.application.progress.workload import Work

_KEPT = 15

# Below it two rows of a fit point the same way: a part of 1e-6 of their lengths.
_PARALLEL = 1e-6


@dataclass(frozen=True)
class Rates:
    """Seconds of the two things that take time; no less than 0."""

    per_mac_s: float
    per_call_s: float

    def epoch_s(self, work: Work) -> float:
        """Seconds of one epoch."""
        return work.macs * self.per_mac_s + work.calls * self.per_call_s


class Speed:
    """Remembers how long epochs took, and says how long others will.

    What was measured of equal work stands for itself, by its median; for other work two rates are fitted.
    """

    def __init__(self) -> None:
        self._epochs: dict[tuple[float, float], deque[float]] = {}
        self._starts: dict[tuple[float, float], float] = {}
        self._overheads: deque[float] = deque(maxlen=_KEPT)
        self._rates: Rates | None = None

    @property
    def measured(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(self._epochs or self._starts)

    @property
    def overhead_s(self) -> float:
        """Seconds beside its epochs that a training takes to be built, evaluated, saved; 0 until measured."""
        return statistics.median(self._overheads) if self._overheads else 0.0

    def add_epoch(self, work: Work, seconds: float) -> None:
        """Take an epoch into account."""
        self._epochs.setdefault(_key(work), deque(maxlen=_KEPT)).append(seconds)
        self._rates = None

    def add_start(self, work: Work, seconds: float) -> None:
        """Take a first epoch and what came before it into account; it counts until there is better."""
        self._starts[_key(work)] = seconds
        self._rates = None

    def add_overhead(self, seconds: float) -> None:
        """Take into account what a training took beside its epochs."""
        self._overheads.append(max(0.0, seconds))

    def epoch_s(self, work: Work) -> float:
        """Seconds of an epoch of such work; in units of nobody knows what while nothing is measured."""
        known = self._epochs.get(_key(work))
        return statistics.median(known) if known else self.rates.epoch_s(work)

    @property
    def rates(self) -> Rates:
        """What fits best that which was measured."""
        if self._rates is None:
            seconds = {key: statistics.median(some) for key, some in self._epochs.items()} or self._starts
            self._rates = fit_rates([(*key, known) for key, known in seconds.items() if known > 0])
        return self._rates


def fit_rates(rows: Sequence[tuple[float, float, float]]) -> Rates:
    """Fit rates to MACs, calls and seconds, by the least sum of squared relative errors.

    A single row says nothing of calls, and a depth sweep at one width, whose rows are multiples of each
    other, little: then MACs take all the time.
    """
    macs = [row[0] / row[2] for row in rows]
    calls = [row[1] / row[2] for row in rows]
    m, c = sum(macs), sum(calls)
    mm, cc = sum(value * value for value in macs), sum(value * value for value in calls)
    mc = sum(one * other for one, other in zip(macs, calls, strict=True))
    if not mm:
        return Rates(1.0 if not cc else 0.0, c / cc if cc else 0.0)
    determinant = mm * cc - mc * mc
    if determinant > _PARALLEL * mm * cc:
        both = Rates((m * cc - c * mc) / determinant, (c * mm - m * mc) / determinant)
        if both.per_mac_s >= 0 and both.per_call_s >= 0:
            return both
        # of the two ends of what is allowed, the one that leaves the smaller error
        if c * c / cc > m * m / mm:
            return Rates(0.0, c / cc)
    return Rates(m / mm, 0.0)


def _key(work: Work) -> tuple[float, float]:
    return (work.macs, work.calls)
