"""What the conductor needs of a place where jobs run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, Self

from archsearch.training.values import EpochReport, Job, Pack, Result

Train = Callable[[Any], Generator[EpochReport | Result, bool | None, Result]]
"""A training of a `Job` or a `Pack`.

It yields a report after each epoch of a replicate, and is sent True where that one is to stop; it yields the
results of a pack's replicates as they end, and returns the last.
"""


class Executor(Protocol):
    """Runs jobs and hands up what they report; a context manager that leaves no process behind.

    Every job that was submitted, alone or in a pack, ends in exactly one `Result`, unless the executor is
    left before. A pack takes one slot; its replicates report, stop and end each for itself.
    """

    @property
    def slots(self) -> int:
        """Jobs or packs that run at the same time; more may be submitted, and wait."""

    def submit(self, work: Job | Pack) -> None:
        """Start a job or pack, or put it behind those that wait; no replicate of it may be under way."""

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Return the next thing that happens; None after `timeout_s`, or where no job is left."""

    def stop(self, trial: int, seed: int) -> None:
        """Ask a replicate to end after its present epoch, as ``stopped``; too late, it does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
