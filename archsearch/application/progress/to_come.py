"""The trainings of a study that have not been started: known ones, and those that are to be expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archsearch.application.progress.schedule import Waiting
from archsearch.application.progress.speed import Speed
from archsearch.application.progress.trainings import Trainings
from archsearch.application.progress.workload import Work, Workload
from archsearch.journal import Record, TrialHistory
from archsearch.search.agenda import Agenda, Need
from archsearch.study import Cell, Dimension, StudyConfig, combine, label_values
from archsearch.study.settings import BudgetSettings, TrainingSettings

# What was counted of a cell's samples weighs as much as so many of its trials.
_SAMPLES_WEIGHT = 2


_Kind = tuple[Work, int, int, float]
"""Work, number of trials, replicates of each, and the share of the epochs that will be trained."""


@dataclass
class _Searched:
    """What the trials of a cell's search amount to: sums over the trials."""

    trials: int = 0
    macs: float = 0.0
    calls: float = 0.0
    epochs: float = 0.0


class ToCome:
    """Knows what a study has still to train, from its trials.

    Args:
        study: The study.
        workload: Counts its trainings' work.
    """

    def __init__(self, study: StudyConfig, workload: Workload) -> None:
        self._study = study
        self._workload = workload
        self._agenda = Agenda(study, lambda cell: self._grid_left(cell) <= 0)
        self._open: dict[int, TrialHistory] = {}
        self._searched: dict[str, _Searched] = {}
        self._grid_sizes: dict[int, int] = {}
        self._asked: dict[int, tuple[float, float]] = {}

    def note(self, trial: TrialHistory) -> None:
        """Take a trial into account that was made, trained, or has come to its end."""
        self._agenda.note(trial)
        if trial.phase == "search":
            if trial.outcome is None and trial.number not in self._open:
                self._add_searched(trial, 1)
            elif trial.outcome == "infeasible" and trial.number in self._open:
                # what is not trained says nothing of what the next one takes
                self._add_searched(trial, -1)
        self._open[trial.number] = trial
        if trial.outcome is not None and not self._missing_seeds(trial):
            del self._open[trial.number]

    def end(self, record: Record, trial: TrialHistory) -> None:
        """Take a ``replicate`` record into account: how much of the work of a search was done."""
        if trial.phase == "search" and record.fields["outcome"] != "lost":
            work = self._workload.of_trial(trial)
            known = record.fields.get("repeated_of") is not None or record.fields.get("taken_over")
            trained = 0.0 if known else work.macs * record.fields["epochs"]
            self._asked[trial.number] = work.macs * work.epochs, trained

    def look_ahead(self) -> None:
        """Count some of the networks that are still to come, which takes two seconds at most."""
        cells = [kind.cell for kind in self._agenda.outstanding() if kind.cell and kind.confirms is None]
        if cells:
            self._workload.look_ahead({cell.index: cell for cell in cells}.values())

    def waiting(
        self, speed: Speed, running: Trainings, *, slots: int, pack: int
    ) -> tuple[list[Waiting], int]:
        """List the trainings that are to be started, in about the order in which they will be.

        Args:
            speed: Says how long they take.
            running: The trainings that run.
            slots: Trainings at a time.
            pack: Replicates that are trained as one network, at most.

        Returns:
            The trainings, and how many trials are still to be made.
        """
        outstanding = self._outstanding()
        now = [*self._queued(running), *(self._expect(k) for k in outstanding if k.phase != "confirm")]
        last = [self._expect(kind) for kind in outstanding if kind.phase == "confirm"]
        # The conductor packs so that each idle slot is left something; confirmations begin when all are idle.
        first, then = _pack(now, slots - len(running), pack, speed), _pack(last, slots, pack, speed)
        if self._study.budget != BudgetSettings():
            # What they take is kept for them, whatever else there is room for.
            first, then = then, first
        return first + then, sum(kind.trials for kind in outstanding)

    def confirmations(self, speed: Speed, *, slots: int, pack: int) -> list[Waiting]:
        """List the trainings that will confirm what the searches find, were these over now; see `waiting`."""
        found = [self._expect(kind) for kind in self._outstanding() if kind.phase == "confirm"]
        return _pack(found, slots, pack, speed)

    def expect(self, cell: Cell) -> Work:
        """The work that is to be expected of a trial that a cell's search will make."""
        work = self._expected(cell)
        if work.epochs:
            return work
        # Nothing of it could be counted.
        epochs = self._study.base.get("training.epochs", TrainingSettings().epochs)
        return Work(work.macs, work.calls, epochs)

    @staticmethod
    def wait_for(work: Work, replicates: int, speed: Speed) -> Waiting:
        """What a training takes, or several as one network."""
        return _wait_for(work, replicates, 1.0, speed)

    def _queued(self, running: Trainings) -> Iterator[_Kind]:
        for number, trial in sorted(self._open.items()):
            seeds = [seed for seed in self._missing_seeds(trial) if (number, seed) not in running]
            if seeds and trial.architecture and trial.outcome != "infeasible":
                yield self._workload.of_trial(trial), 1, len(seeds), 1.0

    def _expect(self, kind: Need) -> _Kind:
        if kind.phase == "search":
            assert kind.cell is not None
            work = self._expected(kind.cell)
            return work, kind.trials, 1, self._trained_frac(work)
        return self._work_of(kind), kind.trials, max(1, len(self._study.seeds)), 1.0

    def _outstanding(self) -> list[Need]:
        found = []
        for kind in self._agenda.outstanding():
            if kind.phase == "search":
                assert kind.cell is not None
                left = min(kind.trials, self._grid_left(kind.cell))
                kind = Need("search", kind.cell, trials=int(left))
            found.append(kind)
        return found

    def _work_of(self, kind: Need) -> Work:
        if kind.confirms is not None:
            return self._workload.of_trial(kind.confirms)
        if kind.cell is None:
            return self._workload.of_baseline(kind.name)
        if kind.phase == "confirm":
            # Any of those that its search has begun may be the best.
            begun = [t for t in self._open.values() if t.phase == "search" and t.cell == kind.cell.values]
            works = [self._workload.of_trial(trial) for trial in begun if trial.architecture]
            if works:
                return max(works, key=lambda work: work.macs * work.epochs)
        return self._expected(kind.cell)

    def _expected(self, cell: Cell) -> Work:
        """The work of a trial that is still to be sampled: between the samples' and that of those sampled."""
        prior = self._workload.of_cell(cell)
        known = self._searched.get(cell.label)
        if known is None or not known.epochs:
            return prior
        epochs = _SAMPLES_WEIGHT * prior.epochs + known.epochs
        return Work(
            macs=(_SAMPLES_WEIGHT * prior.macs * prior.epochs + known.macs) / epochs,
            calls=(_SAMPLES_WEIGHT * prior.calls * prior.epochs + known.calls) / epochs,
            epochs=epochs / (_SAMPLES_WEIGHT * bool(prior.epochs) + known.trials),
        )

    def _trained_frac(self, work: Work) -> float:
        """Share of a search's work that is done: less than 1 by pruning, pausing and repetitions."""
        # by work, not by epochs: pruning may well spare the dear networks, or the cheap ones
        expected = work.macs * work.epochs
        asked = sum(asked for asked, _ in self._asked.values()) + expected
        return (sum(trained for _, trained in self._asked.values()) + expected) / asked if asked else 1.0

    def _add_searched(self, trial: TrialHistory, sign: int) -> None:
        sums = self._searched.setdefault(label_values(trial.cell), _Searched())
        if not trial.macs:
            return
        work = self._workload.of_trial(trial)
        sums.trials += sign
        sums.macs += sign * work.macs * work.epochs
        sums.calls += sign * work.calls * work.epochs
        sums.epochs += sign * work.epochs

    def _grid_left(self, cell: Cell) -> float:
        """Combinations that a grid has not proposed yet; without end for other samplers."""
        if self._study.sampler.name != "grid":
            return float("inf")
        if cell.index not in self._grid_sizes:
            known = {**self._study.base, **cell.values}
            combinations = combine(self._study.search, known, Dimension.values)
            self._grid_sizes[cell.index] = sum(1 for _ in combinations)
        return self._grid_sizes[cell.index] - self._agenda.count_searched(cell)

    @staticmethod
    def _missing_seeds(trial: TrialHistory) -> list[int]:
        if trial.outcome == "infeasible":
            return []
        replicates = [(seed, trial.replicates.get(seed)) for seed in trial.seeds]
        return [seed for seed, known in replicates if known is None or known.outcome in (None, "lost")]


def _pack(kinds: Iterable[_Kind], idle: int, pack: int, speed: Speed) -> list[Waiting]:
    """Pack trainings as the conductor does, who leaves something to each idle slot."""
    kinds = list(kinds)
    total = sum(trials * replicates for _, trials, replicates, _ in kinds)
    most = max(1, min(pack, -(-total // max(1, idle))))
    found = []
    for work, trials, replicates, frac in kinds:
        sizes = [most] * (replicates // most) + [replicates % most] * (replicates % most > 0)
        found += [_wait_for(work, size, frac, speed) for size in sizes] * trials
    return found


def _wait_for(work: Work, replicates: int, frac: float, speed: Speed) -> Waiting:
    epochs = work.epochs * frac * replicates
    seconds = speed.epoch_s(work.packed(replicates)) * epochs + (speed.overhead_s if epochs else 0.0)
    return Waiting(seconds, epochs, work.macs * epochs)
