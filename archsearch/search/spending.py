"""What a study has spent, and whether its budget allows more."""

from __future__ import annotations

from archsearch.journal import BETWEEN_SESSIONS, SESSION_ENDS, Record
from archsearch.study.settings import BudgetSettings


class Spending:
    """Adds up epochs, multiply-accumulates and hours from a journal's records, over all sessions.

    Attributes:
        epochs: Epochs trained, of all replicates and attempts; not what was taken over from another study.
        macs: Multiply-accumulates of their forward passes over the training images.
        hours: Time in sessions, from what they began with to the newest record.
    """

    def __init__(self) -> None:
        self.epochs = 0
        self.macs = 0.0
        self._train_images = 0
        self._macs_of: dict[int, float] = {}
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
            # before its first record, data were loaded, steps timed and workers started
            self._earlier_s += record.fields.get("preparing_s") or 0.0
            self._session = (record.time, record.time)
        elif record.kind == "trial":
            self._macs_of[record.fields["trial"]] = self._epoch_macs(record)
        elif record.kind == "epoch" and not record.fields.get("taken_over"):
            self.epochs += 1
            self.macs += self._macs_of[record.fields["trial"]]
        if self._session and record.kind not in BETWEEN_SESSIONS:
            self._session = (self._session[0], record.time)
        if self._session and record.kind in (*BETWEEN_SESSIONS, *SESSION_ENDS):
            self._earlier_s += self._session[1] - self._session[0]
            self._session = None

    def _epoch_macs(self, record: Record) -> float:
        images = record.fields.get("train_images") or self._train_images
        limit = (record.fields.get("data") or {}).get("train_limit") or images
        return float((record.fields["macs"] or 0) * min(images, limit))

    def hours_at(self, now: float) -> float:
        """Hours in sessions, the present one counted up to `now`, Unix seconds."""
        waiting_s = max(0.0, now - self._session[1]) if self._session else 0.0
        return self.hours + waiting_s / 3600

    def exceeds(self, budget: BudgetSettings, *, now: float | None = None) -> str:
        """Say which part of the budget is spent; empty while there is something left.

        Args:
            budget: The study's budget.
            now: Unix time in seconds; None where no session is under way.
        """
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return f"the budget of {budget.epochs:,} epochs is spent"
        if budget.macs is not None and self.macs >= budget.macs:
            return f"the budget of {budget.macs:.3g} multiply-accumulates is spent"
        hours = self.hours if now is None else self.hours_at(now)
        if budget.hours is not None and hours >= budget.hours:
            return f"the budget of {budget.hours:g} hours is spent"
        return ""
