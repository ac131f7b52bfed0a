"""What executors with workers have in common: how work is taken in, and taken back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from archsearch.execution.course import stopped_before, take_out
from archsearch.execution.limits import Stopwatch
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result, as_pack


class Handle(Protocol):
    """A worker as its executor sees it."""

    @property
    def stopwatch(self) -> Stopwatch:
        """Watches what it trains."""

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

    def _end_overdue(self) -> None:
        """Kill workers whose training exceeds a limit, and account for it; theirs must have been heard."""
        for worker in list(self._workers):
            overdue = worker.stopwatch.overdue() if worker.under_way else None
            if overdue is not None:
                self._events.extend(
                    Result(
                        *replicate, overdue.outcome, f"{overdue.reason}; its worker was killed", epochs, {}
                    )
                    for replicate, epochs in worker.under_way.items()
                )
                self._discard(worker)

    def _limit_s(self) -> float | None:
        """Seconds until the next training exceeds a limit; None where none can."""
        left = [worker.stopwatch.left_s() for worker in self._workers if worker.under_way]
        known = [seconds for seconds in left if seconds is not None]
        return max(0.0, min(known)) if known else None

    @abstractmethod
    def _discard(self, worker: Worker) -> None:
        """End a worker, whatever it is doing; another takes its place when it is needed."""

    @abstractmethod
    def _dispatch(self) -> None:
        """Start what waits, as far as there are workers."""
