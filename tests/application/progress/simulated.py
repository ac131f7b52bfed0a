"""Studies whose trainings take simulated time, and what a follower foresees at each record of theirs."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from archsearch.application.pacing import BudgetPacing
from archsearch.application.progress import Follower, Snapshot
from archsearch.application.progress.workload import Workload
from archsearch.journal import Journal, Record, RunFolder
from archsearch.models import count_cost
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.study import parse_study
from archsearch.study.settings import BudgetSettings
from archsearch.training import Compute, EpochReport, Job, Outcome, Pack, Result
from archsearch.training.values import as_pack

TRAIN_IMAGES = 1149
# In the future: what budgets spend beside the records' time is taken from the real clock.
START = 4_000_000_000.0


def macs_of(job: Job) -> int:
    return count_cost(job.architecture, (1, 8, 8), 10).macs


def by_macs(jobs: Sequence[Job]) -> float:
    """Seconds of an epoch, one a million million MACs, of a pack the sum."""
    return sum(macs_of(job) for job in jobs) * TRAIN_IMAGES * 1e-9


EpochSeconds = Callable[[Sequence[Job]], float]


class TimedExecutor:
    """Runs jobs and packs under a clock that is only counted.

    Attributes:
        now_s: The simulated Unix time.
    """

    def __init__(
        self,
        slots: int,
        epoch_s: EpochSeconds = by_macs,
        *,
        first_s: float = 0.0,
        start_s: float = 0.0,
        start: float = START,
        liked: Callable[[Job], float] = lambda job: job.training.learning_rate,
    ) -> None:
        self.slots = slots
        self.now_s = start
        self._epoch_s = epoch_s
        self._first_s = first_s
        self._start_s = start_s
        self._liked = liked
        self._begun = 0
        self._order = itertools.count()
        self._due: list[tuple[float, int, EpochReport | Result]] = []
        self._stopped: set[tuple[int, int]] = set()
        self._paused: dict[tuple[int, int], int] = {}

    def submit(self, work: Job | Pack) -> None:
        jobs = as_pack(work).jobs
        due = self.now_s + self._start_s + (self._first_s if self._begun < self.slots else 0.0)
        self._begun += 1
        # A pack is never paused.
        done = self._paused.pop((jobs[0].trial, jobs[0].seed), 0)
        until = jobs[0].pause_after or jobs[0].training.epochs
        for epoch in range(done, until):
            due += self._epoch_s(jobs)
            for job in jobs:
                accuracy = 0.5 + epoch / 100 + self._liked(job) / 100 - job.seed / 1e4
                metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy}
                self._schedule(due, EpochReport(job.trial, job.seed, epoch, metrics))
        outcome: Outcome = "complete" if until == jobs[0].training.epochs else "paused"
        for job in jobs:
            if outcome == "paused":
                self._paused[job.trial, job.seed] = until
            self._schedule(due, Result(job.trial, job.seed, outcome, "", until, metrics))

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        while self._due:
            due, order, event = heapq.heappop(self._due)
            ended = isinstance(event, Result) and event.outcome == "stopped"
            if event.replicate in self._stopped and not ended:
                continue
            if timeout_s is not None and due > self.now_s + timeout_s:
                heapq.heappush(self._due, (due, order, event))
                return None
            self.now_s = due
            return event
        return None

    def stop(self, trial: int, seed: int) -> None:
        self._stopped.add((trial, seed))
        self._schedule(self.now_s, Result(trial, seed, "stopped", "", 1, {"val_accuracy": 0.0}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _schedule(self, due: float, event: EpochReport | Result) -> None:
        heapq.heappush(self._due, (due, next(self._order), event))


@dataclass
class Seen:
    """What was foreseen after one record."""

    record: Record
    snapshot: Snapshot


@dataclass
class Watched:
    """One session of a study, watched.

    Attributes:
        end: Simulated time when it ended.
    """

    seen: list[Seen] = field(default_factory=list)
    end: float = 0.0

    def at_ends(self) -> list[tuple[float, float, Snapshot]]:
        """After each trial's end: the time, the seconds that were really left, and what was foreseen."""
        return [
            (seen.record.time, self.end - seen.record.time, seen.snapshot)
            for seen in self.seen
            if seen.record.kind == "told"
        ]


class KilledError(Exception):
    pass


def watch(
    text: str, folder: Path, executor: TimedExecutor, *, pack: int = 1, until: int | None = None
) -> Watched:
    """Run a study, or go on with it, up to a number of records of this session."""
    study = parse_study(text, "study.yaml")
    # Not bound to how fast this machine is just now.
    follower = Follower(study, Workload(study, TRAIN_IMAGES, clock=lambda: 0.0))
    watched = Watched()

    def listen(record: Record) -> None:
        follower.hear(record)
        if record.kind == "session":
            follower.look_ahead()
        watched.seen.append(Seen(record, follower.look(record.time)))
        if until is not None and len(watched.seen) >= until:
            raise KilledError

    run_folder = RunFolder(folder)
    with Journal.open(run_folder.journal, clock=lambda: executor.now_s) as journal:
        if not journal.records:
            objectives = dict(study.objectives)
            journal.append("study", name=study.name, train_images=TRAIN_IMAGES, objectives=objectives)
            journal.append("compute", pack=pack)
        for record in journal.records:
            follower.hear(record)
        workplace = Workplace(executor, Compute(pack=pack), run_folder)
        pacing = BudgetPacing(study, TRAIN_IMAGES) if study.budget != BudgetSettings() else None
        conductor = Conductor(study, journal, workplace, listen=listen, pacing=pacing)
        try:
            conductor.take_up()
            conductor.record("session", slots=executor.slots, host="here")
            conductor.run()
        except KilledError:
            pass
    watched.end = executor.now_s
    return watched
