"""What may still be begun within a study's budget, and what must end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from archsearch.journal import Record, TrialHistory
from archsearch.search.agenda import Agenda, Need
from archsearch.study import Cell
from archsearch.training.values import Replicate


class Pacing(Protocol):
    """Plans a study into its budget; told of every record."""

    def hear(self, record: Record) -> None:
        """Take a record into account."""

    def refuse(self, what: Cell | TrialHistory, replicates: int, now: float) -> str:
        """Say why something is not to be begun; empty where it may be.

        Args:
            what: A cell whose search would make another trial, or a trial that would be trained.
            replicates: Trainings, as one network where there are several.
            now: Unix time in seconds.
        """

    def overdue(self, now: float) -> Collection[Replicate]:
        """The replicates that are to end after their present epoch, as there is no room for another one."""


class Gate:
    """Lets through what a pacing has room for; everything where there is none.

    Args:
        pacing: None for a study without a budget.
        now: Unix time in seconds.

    Attributes:
        held_back: Why the last thing that was asked for is not to be begun; empty where it is.
    """

    def __init__(self, pacing: Pacing | None, now: Callable[[], float]) -> None:
        self._pacing = pacing
        self._now = now
        self.held_back = ""

    def hear(self, record: Record) -> None:
        """Take a record into account."""
        if self._pacing:
            self._pacing.hear(record)

    def next_need(self, agenda: Agenda) -> Need | None:
        """What to make next; confirmations, where there is no room for another trial of a search."""
        self.held_back = ""
        need = agenda.next_need(self._hold_back)
        if need is not None and need.phase == "search":
            self.held_back = ""
        return need

    def is_closed(self, cell: Cell) -> bool:
        """Whether the search of a cell has nothing left to spend."""
        return bool(self._refuse(cell))

    def _hold_back(self, cell: Cell) -> bool:
        self.held_back = self._refuse(cell)
        return bool(self.held_back)

    def _refuse(self, cell: Cell) -> str:
        return self._pacing.refuse(cell, 1, self._now()) if self._pacing else ""

    def count_allowed(self, trial: TrialHistory, most: int, *, least: int = 1) -> int:
        """How many replicates of a trial may be started together; 0 where not even `least`."""
        # What a search has made is trained: it is stopped where there is no room for another epoch.
        if self._pacing is None or trial.phase == "search":
            return most
        for together in range(most, least - 1, -1):
            self.held_back = self._pacing.refuse(trial, together, self._now())
            if not self.held_back:
                return together
        return 0

    def overdue(self) -> Collection[Replicate]:
        """The replicates that are to end after their present epoch."""
        return self._pacing.overdue(self._now()) if self._pacing else ()
