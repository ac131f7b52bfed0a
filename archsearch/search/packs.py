"""How many replicates of a trial travel together, so that workers end at about the same time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from archsearch.journal import TrialHistory
from archsearch.training.values import Replicate


def share_equally(count: int, waits: Sequence[float]) -> int:
    """Return how many of some trainings an idle worker takes if all workers are to end together.

    Args:
        count: Trainings that are to be shared out.
        waits: Of each other worker, for how many trainings' time it still has other work; 0 where none.
    """
    level, work, workers = float(count), float(count), 1
    for wait in sorted(waits):
        if wait >= level:
            break
        # Filled up to one level, as water would: each worker from where its other work ends.
        work, workers = work + wait, workers + 1
        level = work / workers
    return math.ceil(level)


def count_waits(
    trial: TrialHistory, running: Mapping[Replicate, Replicate], trials: Mapping[int, TrialHistory]
) -> list[float]:
    """Return for each busy worker how many trainings of a trial take as long as it still has work.

    Trainings are taken to last in proportion to their multiply-accumulates.

    Args:
        trial: The trial.
        running: What is under way: each replicate with the first of its pack.
        trials: All trials.
    """
    left: dict[Replicate, float] = defaultdict(float)
    for (number, seed), first in running.items():
        done = len(trials[number].replicates[seed].epochs)
        left[first] += _epoch_macs(trials[number]) * (trials[number].training["epochs"] - done)
    return [macs / (_epoch_macs(trial) * trial.training["epochs"]) for macs in left.values()]


def _epoch_macs(trial: TrialHistory) -> int:
    # Where one of the two is not known, all trainings are taken to last alike.
    return (trial.macs or 1) * (trial.train_images or 1)
