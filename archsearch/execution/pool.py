"""What executors with workers have in common: how work is taken in, and taken back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from archsearch.execution.course import stopped_before, take_out
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result, as_pack


class Handle(Protocol):
    """A worker as its executor sees it."""

    @property
    def under_way(self) -> Mapping[Replicate, int]:
        """What it trains, with the epochs finished."""

    def stop(self, replicate: Replicate) -> None:
        """Ask a replicate to end."""


Worker = TypeVar("Worker", bound=Handle)


class Pool(ABC, Generic[Worker]):
    """Workers, what waits for them, and what they have said that nobody has heard yet."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._waiting: deque[Pack] = deque()
        self._events: deque[EpochReport | Result] = deque()

    def submit(self, work: Job | Pack) -> None:
        """Give a job or a pack to an idle worker, or let it wait for one."""
        self._waiting.append(as_pack(work))
        self._dispatch()

    def stop(self, trial: int, seed: int) -> None:
        """Ask a replicate to end; it does so after the epoch that it is in."""
        replicate = (trial, seed)
        for worker in self._workers:
            if replicate in worker.under_way:
                worker.stop(replicate)
        if take_out(self._waiting, replicate):
            self._events.append(stopped_before(replicate))

    @abstractmethod
    def _dispatch(self) -> None:
        """Start what waits, as far as there are workers."""
