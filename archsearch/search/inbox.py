"""What the workers hand up, epoch reports that are there already taken together."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archsearch.execution import Executor
from archsearch.journal import ReplicateHistory
from archsearch.training.values import EpochReport, Replicate, Result

# Bounds the time until the first of them is acted upon.
_MOST = 256


class Inbox:
    """Waits for an executor.

    Reports that came while others were handled are returned together, so that one write to the disk makes all
    of them durable. Nothing is waited for on their account.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._next: EpochReport | Result | None = None

    def wait(self) -> list[EpochReport] | Result | None:
        """Return a result, or reports in the order in which they came, of each replicate one at most.

        A second report of a replicate comes with the next call: after the first it may be told to stop.
        """
        event = self._next or self._executor.wait(None)
        self._next = None
        if not isinstance(event, EpochReport):
            return event
        reports: dict[Replicate, EpochReport] = {}
        while isinstance(event, EpochReport) and event.replicate not in reports:
            reports[event.replicate] = event
            event = self._executor.wait(0) if len(reports) < _MOST else None
        self._next = event
        return list(reports.values())


def describe_report(report: EpochReport) -> dict[str, Any]:
    """Return the fields of an ``epoch`` record."""
    fields = asdict(report)
    del fields["recalled"]
    return fields


def is_known(report: EpochReport, replicate: ReplicateHistory) -> bool:
    """Whether the journal holds what an attempt recalls of the one that it goes on from."""
    return report.recalled and replicate.epochs[report.epoch : report.epoch + 1] == (report.metrics,)
