"""When the last of some trainings will have ended, if each goes to the slot that is free first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A training, or several packed into one, that will take one slot.

    Attributes:
        seconds: How long it will take.
        epochs: Epochs of all its replicates.
        macs: Multiply-accumulates of them, as a budget counts them.
    """

    seconds: float
    epochs: float = 0.0
    macs: float = 0.0


@dataclass(frozen=True)
class Allowance:
    """What a budget allows apart from the trainings that run; nothing that ends beyond it is begun."""

    seconds: float = math.inf
    epochs: float = math.inf
    macs: float = math.inf


def schedule(
    slots: int, running: Sequence[float], waiting: Iterable[Waiting], allowance: Allowance | None = None
) -> tuple[float, float]:
    """Give each waiting training, in their order, to the slot that is free first.

    Args:
        slots: Trainings at a time.
        running: Seconds left of each training that runs.
        waiting: Those that will be started.
        allowance: Of the budget; all where not given.

    Returns:
        Seconds until the last one ends, and seconds of all together.
    """
    allowance = allowance or Allowance()
    free = [*running, *([0.0] * (slots - len(running)))]
    heapq.heapify(free)
    epochs, macs, total = 0.0, 0.0, sum(running)
    for training in waiting:
        end = free[0] + training.seconds
        epochs, macs = epochs + training.epochs, macs + training.macs
        if end > allowance.seconds or epochs > allowance.epochs or macs > allowance.macs:
            break
        heapq.heapreplace(free, end)
        total += training.seconds
    return max(free, default=0.0), total
