"""What a study has spent, and whether its budget allows more."""

from __future__ import annotations

from archsearch.journal import Record
from archsearch.study.settings import BudgetSettings


class Spending:
    """Adds up epochs, multiply-accumulates and hours from a journal's records, over all sessions.

    Attributes:
        epochs: Epochs trained, of all replicates and attempts.
        macs: Multiply-accumulates of their forward passes over the training images.
        hours: Time in sessions, up to the newest record.
    """

    def __init__(self) -> None:
        self.epochs = 0
        self.macs = 0.0
        self._train_images = 0
        self._macs_of: dict[int, int] = {}
        self._earlier_s = 0.0
        self._session: tuple[float, float] | None = None

    @property
    def hours(self) -> float:
        """Hours in sessions; a session that died counts up to its last record."""
        current = self._session[1] - self._session[0] if self._session else 0.0
        return (self._earlier_s + current) / 3600

    def add(self, record: Record) -> None:
        """Take a record into account."""
        if record.kind == "study":
            self._train_images = record.fields["train_images"]
        elif record.kind == "session":
            if self._session:
                self._earlier_s += self._session[1] - self._session[0]
            self._session = (record.time, record.time)
        elif record.kind == "trial":
            self._macs_of[record.fields["trial"]] = record.fields["macs"] or 0
        elif record.kind == "epoch":
            self.epochs += 1
            self.macs += self._macs_of[record.fields["trial"]] * self._train_images
        if self._session:
            self._session = (self._session[0], record.time)

    def exceeds(self, budget: BudgetSettings, *, now: float) -> str:
        """Say which part of the budget is spent; empty while there is something left.

        Args:
            budget: The study's budget.
            now: Unix time in seconds.
        """
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return f"the budget of {budget.epochs:,} epochs is spent"
        if budget.macs is not None and self.macs >= budget.macs:
            return f"the budget of {budget.macs:.3g} multiply-accumulates is spent"
        waiting_h = max(0.0, now - self._session[1]) / 3600 if self._session else 0.0
        if budget.hours is not None and self.hours + waiting_h >= budget.hours:
            return f"the budget of {budget.hours:g} hours is spent"
        return ""
