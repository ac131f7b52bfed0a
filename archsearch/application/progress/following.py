"""A study as it goes: hears the journal's records, and says how far it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.application.progress.schedule import Allowance, schedule
from archsearch.application.progress.speed import Speed
from archsearch.application.progress.to_come import ToCome
from archsearch.application.progress.trainings import Row, Trainings
from archsearch.application.progress.workload import Work, Workload
from archsearch.journal import Record, Replay, TrialHistory
from archsearch.search.ranking import rank, reported_trials
from archsearch.search.spending import Spending
from archsearch.study import StudyConfig

_DESCRIBING = ("study", "trial", "started", "replicate", "told")


@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Attributes:
        frac: Share of the whole work that is done, by the time that it takes.
        seconds_left: Until all trainings have ended; None while nothing was measured.
        trials: Trials in the end, without infeasible ones; None where a budget alone ends the search.
    """

    frac: float
    seconds_left: float | None
    trials: int | None


@dataclass(frozen=True)
class Snapshot:
    """How far a study is.

    Attributes:
        rows: The trainings that run.
        outcomes: Number of trials by outcome, of those that have one.
        best: The best trial so far, as the study's answer would name it now.
        forecast: What is to be expected.
    """

    rows: tuple[Row, ...]
    outcomes: Mapping[str, int]
    best: TrialHistory | None
    forecast: Forecast


class Follower:
    """Follows one study; what earlier sessions have trained counts as done.

    Args:
        study: The study.
        workload: Counts its trainings' work.

    Attributes:
        spending: What was spent.
        speed: How long trainings take here.
        trainings: Those that run.
        to_come: Those that are still to come.
        slots: Trainings at a time.
        pack: Replicates that are trained as one network, at most.
        paused: Work and epochs done of each replicate that is paused.
    """

    def __init__(self, study: StudyConfig, workload: Workload) -> None:
        self._study = study
        self._workload = workload
        self.to_come = ToCome(study, workload)
        self._replay = Replay()
        self.spending = Spending()
        self.speed = Speed()
        self.trainings = Trainings(self.speed, slots=1)
        self._place: Mapping[str, object] = {}
        self.slots = 1
        self.pack = 1
        self._done: list[float] = [0.0, 0.0]
        self.paused: dict[tuple[int, int], tuple[Work, int]] = {}
        self._outcomes: dict[int, str] = {}
        self._best: dict[str, TrialHistory] = {}

    @property
    def trials(self) -> Mapping[int, TrialHistory]:
        """All trials so far, without their epochs."""
        return self._replay.trials

    def hear(self, record: Record) -> None:
        """Take a record into account."""
        self.spending.add(record)
        if record.kind in _DESCRIBING:
            self._replay.add(record)
        if record.kind == "epoch":
            self.trainings.report(record)
        elif record.kind == "session":
            self._begin_session(record)
        elif record.kind == "compute":
            self.pack = record.fields.get("pack", 1)
        elif record.kind == "started":
            trial = self.trials[record.fields["trial"]]
            work = self._workload.of_trial(trial)
            # what a training had done before its pause counts with what runs again
            self._add_done(*self.paused.pop((trial.number, record.fields["seed"]), (work, 0)), sign=-1)
            self.trainings.start(record, work, work.macs / trial.macs if trial.macs else 0.0)
        elif record.kind == "replicate":
            self._end_replicate(record)
        elif record.kind in ("trial", "told"):
            trial = self.trials[record.fields["trial"]]
            self.to_come.note(trial)
            if record.kind == "told":
                self._tell(trial)

    def look_ahead(self) -> None:
        """Count networks that are still to come, so that their time can be foreseen; takes up to two seconds.

        Not to be called beside a training in this process, which draws random numbers from the same source.
        """
        self.to_come.look_ahead()

    def look(self, now: float) -> Snapshot:
        """Say how far the study is.

        Args:
            now: Unix time in seconds.
        """
        best = self._best.values()
        ranked = rank(reported_trials(best), self._study.objectives)
        return Snapshot(
            rows=tuple(self.trainings.rows(now)),
            outcomes=Counter(self._outcomes.values()),
            best=ranked[0] if ranked else None,
            forecast=self.foresee(now),
        )

    def foresee(self, now: float) -> Forecast:
        """Say what is to be expected; see `look`."""
        running = self.trainings.seconds_left(now)
        waiting, trials = self.to_come.waiting(self.speed, self.trainings, slots=self.slots, pack=self.pack)
        left_s, work_left = schedule(self.slots, running, waiting, self._allowance())
        done = self.speed.rates.epoch_s(Work(self._done[0], self._done[1], 1))
        done += sum(self.speed.rates.epoch_s(work) * epochs for work, epochs in self.trainings.work_done())
        frac = done / (done + work_left) if work_left > 0 else float(done > 0)
        infeasible = sum(outcome == "infeasible" for outcome in self._outcomes.values())
        is_open = self._study.search and self._study.trials is None
        total = None if is_open else trials + len(self.trials) - infeasible
        return Forecast(frac, left_s if self.speed.measured else None, total)

    def _begin_session(self, record: Record) -> None:
        place = {
            name: value
            for name, value in record.fields.items()
            if name not in ("pid", "clock", "preparing_s")
        }
        if place != self._place:
            # Another machine, or more trainings at a time: what was measured says nothing of it.
            self.speed = Speed()
        self._place = place
        self.slots = record.fields.get("slots", 1)
        self.trainings = Trainings(self.speed, self.slots)

    def _end_replicate(self, record: Record) -> None:
        trial = self.trials[record.fields["trial"]]
        share = self.trainings.end(record)
        if record.fields.get("taken_over"):
            share = self._workload.of_trial(trial)
        self.to_come.note(trial)
        self.to_come.end(record, trial)
        self.paused.pop((trial.number, record.fields["seed"]), None)
        if share is not None and record.fields["outcome"] != "lost":
            self._add_done(share, record.fields["epochs"])
            if record.fields["outcome"] == "paused":
                self.paused[trial.number, record.fields["seed"]] = share, record.fields["epochs"]

    def _add_done(self, share: Work, epochs: int, *, sign: int = 1) -> None:
        self._done[0] += sign * share.macs * epochs
        self._done[1] += sign * share.calls * epochs

    def _tell(self, trial: TrialHistory) -> None:
        self._outcomes[trial.number] = trial.outcome or ""
        known = self._best.get(trial.phase)
        if known is not None and known.number == trial.number:
            # Told again with more seeds: it may now be behind another.
            same_phase = [other for other in self.trials.values() if other.phase == trial.phase]
        else:
            same_phase = [trial] if known is None else [known, trial]
        ended = [other for other in same_phase if other.objective_values is not None]
        if ended:
            self._best[trial.phase] = rank(ended, self._study.objectives)[0]

    def _allowance(self) -> Allowance:
        budget, spent, groups = self._study.budget, self.spending, self.trainings.groups
        epochs_left = [self.trainings.epochs_left(group) for group in groups]
        macs_left = sum(left * group.work.macs for left, group in zip(epochs_left, groups, strict=True))
        return Allowance(
            seconds=_left(budget.hours, spent.hours) * 3600,
            epochs=_left(budget.epochs, spent.epochs + sum(epochs_left)),
            macs=_left(budget.macs, spent.macs + macs_left),
        )


def _left(budget: float | None, spent: float) -> float:
    return math.inf if budget is None else budget - spent
