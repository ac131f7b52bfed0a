"""What the conductor needs of a place where jobs run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, Self

from archsearch.training.values import EpochReport, Job, Result

Train = Callable[[Job], Generator[EpochReport, bool | None, Result]]
"""A training: yields a report after each epoch, is sent True to stop it, returns the result."""


class Executor(Protocol):
    """Runs jobs and hands up what they report; a context manager that leaves no process behind.

    Every job that was submitted ends in exactly one `Result`, unless the executor is left before.
    """

    @property
    def slots(self) -> int:
        """Jobs that run at the same time; more may be submitted, and wait."""

    def submit(self, job: Job) -> None:
        """Start a job, or put it behind those that wait. Its trial and seed must not be under way already."""

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Return the next thing that happens; None after `timeout_s`, or where no job is left."""

    def stop(self, trial: int, seed: int) -> None:
        """Ask a job to end after its present epoch, as ``stopped``; one that has ended is left alone."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
