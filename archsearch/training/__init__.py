"""Training replicates: from a job to reports after each epoch and a result, whatever comes of it.

Lightning takes seconds to import, and only those who train need it: what else they want of this package they
import from its modules.
"""

from __future__ import annotations

from collections.abc import Generator

from archsearch.training.values import Compute, EpochReport, Job, Outcome, Pack, Result, Seat

__all__ = ["Compute", "EpochReport", "Job", "Outcome", "Pack", "Result", "Seat", "train", "train_share"]


def train(work: Job | Pack) -> Generator[EpochReport | Result, bool | None, Result]:
    """Train one replicate, or several packed; see `archsearch.training.loop.train`."""
    from archsearch.training.loop import train as train_with_lightning

    return train_with_lightning(work)


def train_share(job: Job, seat: Seat) -> Generator[EpochReport | Result, bool | None, Result]:
    """Train a job as one of several ranks; see `archsearch.training.distributed.train_share`."""
    from archsearch.training.distributed import train_share as train_with_lightning

    return train_with_lightning(job, seat)
