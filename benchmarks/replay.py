"""Trainings that are looked up instead of run, under a clock that is only counted."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from archsearch.training import EpochReport, Job, Outcome, Result


@dataclass(frozen=True)
class Course:
    """How one training goes.

    Attributes:
        epochs: Metrics of each epoch.
        end: Metrics at the end.
        epoch_s: Simulated seconds of one epoch.
        outcome: How it ends.
        reason: Why, where it is not complete.
    """

    epochs: Sequence[Mapping[str, float]]
    end: Mapping[str, float]
    epoch_s: float = 1.0
    outcome: Outcome = "complete"
    reason: str = ""


class ReplayExecutor:
    """An executor whose workers answer from a function, in the order of a simulated clock.

    Args:
        slots: Simulated workers.
        look_up: How a job's training goes.
        ahead: Whether workers are ahead of the conductor, so that something is always there when it asks.

    Attributes:
        now_s: The simulated time.
        reports: Epoch reports handed up so far.
    """

    def __init__(self, slots: int, look_up: Callable[[Job], Course], *, ahead: bool = False) -> None:
        self.slots = slots
        self.now_s = 0.0
        self.reports = 0
        self._look_up = look_up
        self._ahead = ahead
        self._order = itertools.count()
        self._due: list[tuple[float, int, Job, Course, int]] = []
        self._paused: dict[tuple[int, int], int] = {}
        self._stopped: set[tuple[int, int]] = set()

    def submit(self, job: Job) -> None:
        """Start a job at the present simulated time; one that was paused goes on."""
        course = self._look_up(job)
        done = self._paused.pop((job.trial, job.seed), 0)
        self._schedule(self.now_s + course.epoch_s, job, course, done)

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Return what happens next, and set the clock to it; with a timeout of 0 only what is due by now."""
        if not self._due or (timeout_s == 0 and not self._ahead and self._due[0][0] > self.now_s):
            return None
        self.now_s, _, job, course, epoch = heapq.heappop(self._due)
        at = (job.trial, job.seed)
        if at in self._stopped:
            return Result(*at, "stopped", "", epoch, {})
        if epoch == job.pause_after and epoch < len(course.epochs):
            self._paused[at] = epoch
            return Result(*at, "paused", "", epoch, {})
        if epoch == len(course.epochs):
            return Result(*at, course.outcome, course.reason, epoch, dict(course.end))
        last = epoch + 1 in (len(course.epochs), job.pause_after)
        self._schedule(self.now_s + (0.0 if last else course.epoch_s), job, course, epoch + 1)
        self.reports += 1
        return EpochReport(*at, epoch, dict(course.epochs[epoch]))

    def stop(self, trial: int, seed: int) -> None:
        """Stop a job at its next event."""
        self._stopped.add((trial, seed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _schedule(self, due_s: float, job: Job, course: Course, epoch: int) -> None:
        heapq.heappush(self._due, (due_s, next(self._order), job, course, epoch))


def invent_course(job: Job) -> Course:
    """A rising accuracy that depends on network, settings and seed alone."""
    key = f"{job.architecture.id}/{job.training.learning_rate!r}/{job.seed}".encode()
    final = int.from_bytes(hashlib.sha256(key).digest()[:4], "big") / 2**32
    length = job.training.epochs
    accuracies = [final * (epoch + 1) / length for epoch in range(length)]
    epochs = [
        {"val_accuracy": a, "val_error": 1 - a, "val_loss": 1 - a, "train_loss": 1 - a} for a in accuracies
    ]
    # Uneven durations, so that simulated workers do not march in step.
    return Course(epochs, {**epochs[-1], "train_error": 1 - final}, epoch_s=1 + final)
