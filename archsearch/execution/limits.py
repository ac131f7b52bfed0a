"""How long a training may take, and a worker be silent."""

from __future__ import annotations

import time
from dataclasses import dataclass

from archsearch.study.settings import ExecutionSettings
from archsearch.training.values import Outcome

COMING_UP_S = 120.0
"""What is added for a worker that is coming up: it imports torch, and may wait for its device."""


@dataclass(frozen=True)
class Limits:
    """Seconds for one training, `execution.trial_limit_s` and `epoch_limit_s`; None sets no limit."""

    trial_s: float | None = None
    epoch_s: float | None = None

    @classmethod
    def of(cls, settings: ExecutionSettings) -> Limits:
        """Those of a study."""
        return cls(settings.trial_limit_s, settings.epoch_limit_s)


@dataclass(frozen=True)
class Overdue:
    """What comes of a training that exceeds a limit."""

    outcome: Outcome
    reason: str


class Stopwatch:
    """Watches the work of one worker, by a clock that nobody can set.

    Args:
        limits: Of one training; packed trainings have so many times that.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._times = 1
        self._began = self._heard = time.monotonic()

    def start(self, trainings: int, *, ready: bool = True) -> None:
        """Begin to count for so many trainings together; `ready` is whether their worker has come up.

        One that has not is given `COMING_UP_S` more, and is begun again when it has.
        """
        self._times = trainings
        self._began = self._heard = time.monotonic() + (0.0 if ready else COMING_UP_S)

    def hear(self) -> None:
        """Note a sign of life."""
        self._heard = time.monotonic()

    def left_s(self) -> float | None:
        """Seconds until the next limit; None where there is none."""
        ends = [self._began + self._whole_s] if self._limits.trial_s else []
        ends += [self._heard + self._pause_s] if self._limits.epoch_s else []
        return min(ends) - time.monotonic() if ends else None

    def overdue(self) -> Overdue | None:
        """Which limit is exceeded. A silent worker is lost, to be tried again; a slow training fails."""
        now = time.monotonic()
        if self._limits.trial_s and now - self._began > self._whole_s:
            return Overdue("failed", f"took longer than {self._whole_s:g} s (execution.trial_limit_s)")
        if self._limits.epoch_s and now - self._heard > self._pause_s:
            return Overdue("lost", f"no epoch ended within {self._pause_s:g} s (execution.epoch_limit_s)")
        return None

    @property
    def _whole_s(self) -> float:
        return (self._limits.trial_s or 0.0) * self._times

    @property
    def _pause_s(self) -> float:
        return (self._limits.epoch_s or 0.0) * self._times
