"""The journal as the conductor keeps it, and what follows from all that it says so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archsearch.journal import Journal, Record, Replay, StudyHistory, TrialHistory
from archsearch.search.spending import Spending
from archsearch.study.settings import BudgetSettings


class Ledger:
    """Writes records and takes each into account, its own and those that were there before alike.

    Args:
        journal: Open for appending.
        listen: Called with each record that is written, after all others have heard of it.
    """

    def __init__(self, journal: Journal, listen: Callable[[Record], None]) -> None:
        self._journal = journal
        self._listen = listen
        self._replay = Replay()
        self._spending = Spending()
        self._hearers: list[Callable[[Record], None]] = [self._replay.add, self._spending.add]
        for record in journal.records:
            for hear in self._hearers:
                hear(record)

    @property
    def trials(self) -> Mapping[int, TrialHistory]:
        """All trials so far; changes as records are written."""
        return self._replay.trials

    @property
    def history(self) -> StudyHistory:
        """All that the journal says so far."""
        return self._replay.history()

    @property
    def in_session(self) -> bool:
        """Whether the newest session has not ended: it runs, or was killed."""
        return self._replay.in_session

    def follow(self, hear: Callable[[Record], None]) -> None:
        """Tell somebody of all records, those that are there first."""
        for record in self._journal.records:
            hear(record)
        self._hearers.append(hear)

    def follow_trials(self, note: Callable[[TrialHistory], None]) -> None:
        """Tell somebody of each trial as it is by now, and again when it is made or has ended."""
        for trial in self.trials.values():
            note(trial)

        def hear(record: Record) -> None:
            if record.kind in ("trial", "told"):
                note(self.trials[record.fields["trial"]])

        self._hearers.append(hear)

    def record(self, kind: str, **fields: Any) -> None:
        """Write a record."""
        self._take_into_account(self._journal.append(kind, **fields))

    def record_epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``epoch`` records, which reach the disk together."""
        rows = list(rows)
        for record in self._journal.append_all("epoch", rows) if rows else ():
            self._take_into_account(record)

    def describe_again(self, number: int, **changed: Any) -> None:
        """Write the record of a trial anew, some of its fields changed."""
        described = next(
            record.fields
            for record in self._journal.records
            if record.kind == "trial" and record.fields["trial"] == number
        )
        self.record("trial", **{**described, **changed})

    def spent(self, budget: BudgetSettings) -> str:
        """Say which part of a budget is spent by now; empty while there is something left."""
        return self._spending.exceeds(budget, now=self._journal.now())

    def ended_by(self, budget: BudgetSettings) -> bool:
        """Whether the study ended as its budget was spent or had no room, and asks for nothing else since."""
        last = self._journal.records[-1]
        held_back = last.kind == "finished" and str(last.fields.get("reason", "")).startswith("the budget")
        return held_back or bool(self._spending.exceeds(budget))

    def _take_into_account(self, record: Record) -> None:
        for hear in self._hearers:
            hear(record)
        self._listen(record)
