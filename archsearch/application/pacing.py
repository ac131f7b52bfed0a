"""A study planned into its budget: no training is begun that cannot end within it, and its end is kept free.

What a search spends ends early enough for its answer: the confirmations of what is the best by now, the test
set and the report. How long that takes is judged from the trainings that have ended here.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from archsearch.application.progress.following import Follower
from archsearch.application.progress.schedule import Waiting, schedule
from archsearch.application.progress.trainings import Group
from archsearch.application.progress.workload import Workload
from archsearch.journal import Record, TrialHistory
from archsearch.study import Cell, StudyConfig, label_values
from archsearch.study.settings import BudgetSettings
from archsearch.training.values import Replicate

# Reading the test set, measuring latencies, drawing and writing the report.
_CLOSING_S = 6.0
_CLOSING_A_NETWORK_S = 0.5
_CLOSING_FRAC = 0.05
# By so much of the hours confirmations may run over what was judged, before they are stopped.
_TOLERANCE_FRAC = 0.05


@dataclass(frozen=True)
class Amount:
    """Something that is spent, in each of the units of a budget."""

    seconds: float = 0.0
    epochs: float = 0.0
    macs: float = 0.0

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.seconds - other.seconds, self.epochs - other.epochs, self.macs - other.macs)

    def or_more(self, other: Amount) -> Amount:
        """The larger of both, in each of the units."""
        return Amount(
            max(self.seconds, other.seconds), max(self.epochs, other.epochs), max(self.macs, other.macs)
        )

    def holds(self, other: Amount) -> bool:
        """Whether something else can be spent of it."""
        return other.seconds <= self.seconds and other.epochs <= self.epochs and other.macs <= self.macs


class BudgetPacing:
    """Paces one study that has a budget.

    Args:
        study: The study.
        train_images: Number of its training images.
    """

    def __init__(self, study: StudyConfig, train_images: int) -> None:
        self._study = study
        self._workload = Workload(study, train_images)
        self._follower = Follower(study, self._workload)
        self._reserve: Amount | None = None
        self._answered: set[str] = set()
        self._looked_ahead = False

    def hear(self, record: Record) -> None:
        """Take a record into account."""
        self._follower.hear(record)
        if record.kind in ("session", "trial", "started", "told", "replicate"):
            self._reserve = None
        if record.kind == "told" and record.fields["outcome"] == "complete":
            self._answered.add(label_values(self._follower.trials[record.fields["trial"]].cell))

    def refuse(self, what: Cell | TrialHistory, replicates: int, now: float) -> str:
        """Say why a trial of a search, or a training, is not to be begun; empty where it may be."""
        if not self._looked_ahead:
            # Before the first training: it may not be done beside one.
            self._looked_ahead = True
            self._follower.look_ahead()
        to_come = self._follower.to_come
        work = to_come.expect(what) if isinstance(what, Cell) else self._workload.of_trial(what)
        needed = self._cost(to_come.wait_for(work, replicates, self._follower.speed))
        if isinstance(what, Cell) and (promoted := self._longest_paused().get(what.label)):
            needed = needed.or_more(self._cost(promoted))
        left = self._left(now) - self._committed(self._groups())
        if isinstance(what, Cell):
            left -= self._kept()
        elif what.phase == "confirm":
            # Rather a little more is spent than a confirmation left out.
            left -= Amount(seconds=-self._tolerated_s)
        if left.holds(needed):
            return ""
        return f"the budget of {say_budget(self._study.budget)} has no room for another training"

    def overdue(self, now: float) -> Collection[Replicate]:
        """The replicates for another epoch of which there is no room."""
        groups = [group for group in self._groups() if self._follower.trainings.epochs_left(group)]
        searching = [group for group in groups if self._follower.trials[group.trial].phase == "search"]
        others = [group for group in groups if group not in searching]
        # Without an answer there is nothing to confirm, so nothing is kept for that from them.
        answers = self._first_answers(searching)
        searching = [group for group in searching if group not in answers]
        left = self._left(now)
        found: list[Replicate] = []
        if answers and not (left - self._committed(others)).holds(self._further(answers)):
            found += _list(answers)
        before = self._committed([*others, *answers])
        if searching and not (left - before - self._kept()).holds(self._further(searching)):
            found += _list(searching)
        if others and self._further(others).seconds > left.seconds + self._tolerated_s:
            found += _list(others)
        return found

    @property
    def _hours_s(self) -> float:
        return (self._study.budget.hours or math.inf) * 3600

    @property
    def _tolerated_s(self) -> float:
        return _TOLERANCE_FRAC * self._hours_s

    def _groups(self) -> list[Group]:
        return self._follower.trainings.groups

    def _cost(self, waiting: Waiting) -> Amount:
        seconds = waiting.seconds if self._follower.speed.measured else 0.0
        return Amount(seconds, waiting.epochs, waiting.macs)

    def _left(self, now: float) -> Amount:
        """What has not been spent, without the seconds that the end of the study takes."""
        budget, spent = self._study.budget, self._follower.spending
        seconds = self._hours_s - spent.hours_at(now) * 3600 - self._closing_s()
        epochs = math.inf if budget.epochs is None else budget.epochs - spent.epochs
        macs = math.inf if budget.macs is None else budget.macs - spent.macs
        return Amount(seconds, epochs, macs)

    def _closing_s(self) -> float:
        reported = max(1, len(self._study.cells()) * max(1, len(self._study.seeds)))
        return min(_CLOSING_S + _CLOSING_A_NETWORK_S * reported, _CLOSING_FRAC * self._hours_s)

    def _committed(self, groups: list[Group]) -> Amount:
        """What trainings that run will still take, but for seconds, in which others run beside them."""
        left = [(self._follower.trainings.epochs_left(group), group.work) for group in groups]
        return Amount(
            0.0, sum(epochs for epochs, _ in left), sum(epochs * work.macs for epochs, work in left)
        )

    def _further(self, groups: list[Group]) -> Amount:
        """What trainings that run take if they are not stopped now.

        That is the epoch that they are in, which they finish in any case, and the next one, if there is one.
        """
        epochs = [self._follower.trainings.epochs_left(group) for group in groups]
        epochs = [min(2.0 * len(group.replicates), left) for left, group in zip(epochs, groups, strict=True)]
        seconds = [count * self._epoch_s(group) for count, group in zip(epochs, groups, strict=True)]
        macs = sum(count * group.work.macs for count, group in zip(epochs, groups, strict=True))
        return Amount(max(seconds), sum(epochs), macs)

    def _epoch_s(self, group: Group) -> float:
        """Seconds of an epoch of one replicate: as of its like, or as it really goes, whichever is longer."""
        reported, done = max((one.reported, one.epochs) for one in group.replicates.values())
        own_s = (reported - group.started) / (done * group.together) if done else 0.0
        return max(own_s, self._follower.speed.epoch_s(group.share) if self._follower.speed.measured else 0.0)

    def _kept(self) -> Amount:
        """What is kept for the answer of a search and its confirmations."""
        if self._reserve is None:
            follower, first = self._follower, self._answers()
            then = follower.to_come.confirmations(follower.speed, slots=follower.slots, pack=follower.pack)
            costs = [self._cost(one) for one in (*first, *then)]
            longest_s = 0.0
            if follower.speed.measured:
                longest_s = sum(schedule(follower.slots, [], waiting)[0] for waiting in (first, then))
            self._reserve = Amount(
                longest_s, sum(cost.epochs for cost in costs), sum(cost.macs for cost in costs)
            )
        return self._reserve

    def _first_answers(self, groups: list[Group]) -> list[Group]:
        """Of each cell of which nothing was trained in full yet, the training that is to go furthest."""
        found: dict[str, Group] = {}
        for group in groups:
            cell = label_values(self._follower.trials[group.trial].cell)
            if cell not in self._answered:
                found[cell] = max(found.get(cell, group), group, key=lambda one: (one.until, -one.trial))
        return list(found.values())

    def _answers(self) -> list[Waiting]:
        """The trainings that give an answer to searches which have paused trials alone."""
        whole = [group.trial for group in self._groups() if group.until >= group.work.epochs]
        answered = self._answered | {label_values(self._follower.trials[number].cell) for number in whole}
        return [waiting for cell, waiting in self._longest_paused().items() if cell not in answered]

    def _longest_paused(self) -> dict[str, Waiting]:
        """What training a paused trial of each cell to its end takes; any of them may be the best."""
        follower = self._follower
        found: dict[str, Waiting] = {}
        for (number, _), (work, done) in follower.paused.items():
            rest = replace(work, epochs=work.epochs - done)
            waiting = follower.to_come.wait_for(rest, 1, follower.speed)
            cell = label_values(follower.trials[number].cell)
            found[cell] = max(found.get(cell, waiting), waiting, key=lambda one: (one.seconds, one.macs))
        return found


def say_budget(budget: BudgetSettings) -> str:
    """``2 hours``, ``0.5 hours or 400 epochs``."""
    parts = [] if budget.hours is None else [f"{budget.hours:g} hours"]
    parts += [] if budget.epochs is None else [f"{budget.epochs:,} epochs"]
    parts += [] if budget.macs is None else [f"{budget.macs:.3g} multiply-accumulates"]
    return " or ".join(parts)


def _list(groups: list[Group]) -> list[Replicate]:
    return [(group.trial, seed) for group in groups for seed in group.replicates]
