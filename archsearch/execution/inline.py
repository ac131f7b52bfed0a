"""Jobs in this process, one after the other: for tests, debuggers and the smallest studies."""

from __future__ import annotations

from collections import deque
from typing import Self

from archsearch.execution.course import Course
from archsearch.execution.protocol import Train
from archsearch.training.values import EpochReport, Job, Result


class InlineExecutor:
    """Trains while `wait` is called, one epoch a call; a stop is therefore honoured at once."""

    slots = 1

    def __init__(self, train: Train) -> None:
        self._train = train
        self._waiting: deque[Job] = deque()
        self._course: Course | None = None
        self._stopping: set[tuple[int, int]] = set()

    def submit(self, job: Job) -> None:
        """Put a job behind those that wait."""
        self._waiting.append(job)

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:  # noqa: ARG002
        """Train one epoch, however long it takes."""
        if self._course is None:
            if not self._waiting:
                return None
            self._course = Course(self._waiting.popleft(), self._train)
        job = self._course.job
        event = self._course.advance(stop=(job.trial, job.seed) in self._stopping)
        if isinstance(event, Result):
            self._stopping.discard((job.trial, job.seed))
            self._course = None
        return event

    def stop(self, trial: int, seed: int) -> None:
        """End a job at the next call of `wait`."""
        jobs = [*self._waiting, *([self._course.job] if self._course else [])]
        if any((job.trial, job.seed) == (trial, seed) for job in jobs):
            self._stopping.add((trial, seed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()
        if self._course is not None:
            self._course.close()
            self._course = None
