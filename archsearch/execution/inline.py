"""Jobs in this process, one after the other: for tests, debuggers and the smallest studies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Self

from archsearch.execution.course import Course, stopped_before, take_out
from archsearch.execution.limits import Limits, Stopwatch
from archsearch.execution.protocol import Train
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result, as_pack


class InlineExecutor:
    """Trains while `wait` is called, one epoch a call; a stop is therefore honoured at once.

    Nothing can end an epoch before its end; limits are looked at then.

    Args:
        train: The training.
        close: Ends what the training keeps from job to job.
        limits: How long a training may take; none where not given.
    """

    slots = 1

    def __init__(
        self, train: Train, close: Callable[[], None] = lambda: None, *, limits: Limits | None = None
    ) -> None:
        self._train = train
        self._close = close
        self._waiting: deque[Pack] = deque()
        self._events: deque[Result] = deque()
        self._course: Course | None = None
        self._stopwatch = Stopwatch(limits or Limits())
        self._stopping: set[Replicate] = set()

    def submit(self, work: Job | Pack) -> None:
        """Put a job or a pack behind those that wait."""
        self._waiting.append(as_pack(work))

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Train one epoch, however long it takes; with a timeout of 0 none."""
        if self._events:
            return self._events.popleft()
        if timeout_s == 0:
            return None
        if self._course is None:
            if not self._waiting:
                return None
            pack = self._waiting.popleft()
            self._course = Course(pack, self._train)
            self._stopwatch.start(len(pack.jobs))
        # not the time that the conductor took for itself
        self._stopwatch.hear()
        event = self._course.advance(stop=self._course.turn in self._stopping)
        overdue = self._stopwatch.overdue() if isinstance(event, EpochReport) else None
        if overdue is not None:
            self._course.abandon(overdue.outcome, overdue.reason)
        if isinstance(event, Result):
            self._stopping.discard(event.replicate)
            if self._course.ended:
                self._course = None
        return event

    def stop(self, trial: int, seed: int) -> None:
        """End a replicate at the next call of `wait` that concerns it."""
        replicate = (trial, seed)
        if take_out(self._waiting, replicate):
            self._events.append(stopped_before(replicate))
        elif self._course is not None and replicate in self._course.under_way:
            self._stopping.add(replicate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()
        self._events.clear()
        if self._course is not None:
            self._course.close()
            self._course = None
        self._close()
