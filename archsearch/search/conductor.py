"""The one process that asks Optuna, submits jobs, listens, prunes, tells, and writes the journal.

Whatever it knows of trials it knows from the journal's records, its own included; so a conductor that is
started again goes on where the last one stood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archsearch.journal import Journal, Record, StudyHistory, TrialHistory
from archsearch.search.agenda import Agenda, Need
from archsearch.search.candidates import Candidate
from archsearch.search.cell_searches import CellSearches
from archsearch.search.inbox import Inbox, describe_report, is_known
from archsearch.search.jobs import Workplace, build_job
from archsearch.search.keeping import Keeping
from archsearch.search.ledger import Ledger
from archsearch.search.making import Maker
from archsearch.search.pacing import Gate, Pacing
from archsearch.search.packs import count_waits, share_equally
from archsearch.search.pausing import Pausing
from archsearch.search.prefilter import Prefilter
from archsearch.search.replicates import ReplicateQueue
from archsearch.search.settling import UNDER_WAY, is_settled
from archsearch.search.shortages import Shortages
from archsearch.search.taking_over import TakingOver
from archsearch.search.telling import Telling
from archsearch.search.warm_start import WarmStart
from archsearch.study import StudyConfig
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result


class Conductor:
    """Brings a study to its end.

    Args:
        study: The study; what the journal already holds of it is not done again.
        journal: Open for appending, with the ``study`` record.
        workplace: Executor, arithmetic, run folder.
        listen: Called with each record that is written.
        undecided: Says of a study that may add seeds which trials need another one, by their numbers.
        winding_down: Whether nothing is to be started any more, and what runs is to be finished.
        taking_over: Finds what other studies have trained already; None trains everything.
        pacing: Plans the study into its budget; without it nothing is begun once that is spent.
    """

    def __init__(
        self,
        study: StudyConfig,
        journal: Journal,
        workplace: Workplace,
        *,
        listen: Callable[[Record], None] = lambda _: None,
        undecided: Callable[[StudyConfig, StudyHistory], Sequence[int]] = lambda *_: (),
        winding_down: Callable[[], bool] = lambda: False,
        taking_over: TakingOver | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._study = study
        self._workplace = workplace
        self._winding_down = winding_down
        self._taking_over = taking_over
        self._ledger = Ledger(journal, listen)
        self._gate = Gate(pacing, journal.now)
        self._keeping = Keeping(study, workplace.folder)
        self._shortages = Shortages(study, self._ledger, self._keeping, workplace.folder, undecided)
        self._queue = ReplicateQueue()
        self._running: dict[Replicate, Replicate] = {}
        self._stopping: set[Replicate] = set()
        self._overdue: set[Replicate] = set()
        self._for_weights: set[Replicate] = set()
        self._lost: Counter[Replicate] = Counter()
        self._searches = CellSearches(study, self.trials, WarmStart(journal.records))
        self._pausing = Pausing(study, self.trials)
        self._agenda = Agenda(study, lambda cell: self._searches.of(cell.values).exhausted)
        self._telling = Telling(study, self._ledger, self._searches, self._keeping)
        prefilter = Prefilter(study, journal.records, self.record)
        self._maker = Maker(study, self._searches, prefilter, taking_over, self.trials)
        self._ledger.follow(self._gate.hear)
        self._ledger.follow_trials(self._agenda.note)
        self._ledger.follow_trials(self._pausing.note)

    @property
    def trials(self) -> Mapping[int, TrialHistory]:
        """All trials so far; changes while the conductor runs."""
        return self._ledger.trials

    @property
    def history(self) -> StudyHistory:
        """All that the journal says so far."""
        return self._ledger.history

    def take_up(self) -> bool:
        """Go on where the journal ends, once, before `run`; returns whether anything is left to do."""
        if self._ledger.in_session:
            self.record("resumed")
        self._keeping.tidy(self.trials)
        for trial in self.trials.values():
            for seed, replicate in trial.replicates.items():
                if replicate.outcome not in UNDER_WAY:
                    self._queue.end(trial, seed)
        for number in list(self.trials):
            self._searches.restore(self.trials[number])
            self._extend_seeds(number)
            self._telling.copy(number)
        for number, trial in list(self.trials.items()):
            if trial.outcome is None and not trial.replicates:
                # The last conductor may have died before it could say that this one is infeasible.
                self._begin(number, self._maker.examine_again(trial))
            elif trial.outcome != "infeasible" and not is_settled(trial):
                self._enqueue(number)
        work_left = not self._ledger.ended_by(self._study.budget) and (
            len(self._queue) > 0
            or self._agenda.next_need() is not None
            or self._pausing.waits
            or bool(self._shortages)
        )
        if not work_left:
            self._telling.close()
        return work_left

    def run(self) -> str:
        """Train until nothing is missing, the budget is spent or it winds down; returns why it ended."""
        executor = self._workplace.executor
        inbox = Inbox(executor)
        try:
            while True:
                while self._busy < executor.slots and not self._stops_short() and self._advance():
                    pass
                if not self._running:
                    if self._stops_short() or self._gate.held_back or not self._go_further():
                        break
                    continue
                event = inbox.wait()
                if isinstance(event, Result):
                    self._end(event)
                elif event is not None:
                    self._hear(event)
        finally:
            # Also when it is interrupted: what has ended is copied to the end.
            self._telling.close()
        return self._stops_short() or self._gate.held_back or "every trial asked for has ended"

    def close(self) -> None:
        """Remove the weights that are not to be kept, when the study has ended and its test set was read."""
        self._keeping.empty(self.trials.values())

    @property
    def _busy(self) -> int:
        """Slots in use: a pack is known by its first replicate."""
        together = self._workplace.compute.pack > 1
        return len(set(self._running.values())) if together else len(self._running)

    def _stops_short(self) -> str:
        return "asked to stop" if self._winding_down() else self._ledger.spent(self._study.budget)

    def record(self, kind: str, **fields: Any) -> None:
        """Write a record to the journal and take it into account."""
        self._ledger.record(kind, **fields)

    # What a study that has grown, or was looked at, needs further.

    def _extend_seeds(self, number: int) -> None:
        trial = self.trials[number]
        more = [seed for seed in self._maker.seeds(trial.phase) if seed not in trial.seeds]
        if more and trial.outcome != "infeasible":
            self._ledger.describe_again(number, seeds=[*trial.seeds, *more])

    def _go_further(self) -> bool:
        """Queue what shows to be missing when nothing else is; False where nothing is."""
        seeds, look = self._shortages.seeds(), self.history.looks + 1
        for number, seed in seeds.items():
            self._ledger.describe_again(number, seeds=[*self.trials[number].seeds, seed], look=look)
            self._enqueue(number)
        if seeds:
            return True
        weights = self._shortages.weights()
        for number, seed in weights:
            self._queue.forget(self.trials[number], seed)
            self._queue.request(self.trials[number], seed)
        self._for_weights.update(weights)
        return bool(weights)

    # Making trials.

    def _advance(self) -> bool:
        """Start queued replicates or make a trial; False where neither is to be done now.

        Replicates of one trial are packed, no more of them than a worker's equal share of all that are
        queued: none stays idle for the sake of a larger pack.
        """
        pack, idle = self._workplace.compute.pack, max(1, self._workplace.executor.slots - self._busy)
        if not len(self._queue) and self._pausing.is_on and (self._promote() or self._retire()):
            return True
        if len(self._queue) < (idle * pack if pack > 1 else 1):
            need = self._gate.next_need(self._agenda)
            # what a search proposes depends on what has ended before, so none is made ahead
            if need is not None and (need.phase != "search" or not len(self._queue)):
                self._make(need)
                return True
        if not len(self._queue) or self._queue.next_pack in self._running.values():
            # in the second case others of the pack that was lost are still to be heard of
            return False
        trial, lost = self.trials[self._queue.next[0]], self._queue.count_lost()
        most = lost or min(pack, share_equally(len(self._queue), self._waits_of_others(trial, idle)))
        together = self._gate.count_allowed(trial, most, least=lost or 1)
        if together:
            self._start(self._queue.take(together))
        return together > 0

    def _waits_of_others(self, trial: TrialHistory, idle: int) -> list[float]:
        """Return for how many trainings' time each other worker is busy that shares in what is queued."""
        waits = [0.0] * (idle - 1)
        # Busy ones share in what is left at the end. On a GPU a pack takes hardly longer than a part of it.
        if self._workplace.compute.device == "cpu" and self._gate.next_need(self._agenda) is None:
            waits += count_waits(trial, self._running, self.trials)
        return waits

    def _promote(self) -> bool:
        """Let a paused trial go on; False where none is to."""
        promotion = self._pausing.promote(self._agenda.is_open, self._gate.is_closed)
        if promotion is not None:
            self._start([(promotion.number, self._study.search_seed)], until=promotion.until)
        return promotion is not None

    def _retire(self) -> bool:
        """End the paused trials whose search is over; False where there are none."""
        ends = self._pausing.retire(self._agenda.is_open, self._gate.is_closed)
        for result in ends:
            self._end(result)
        return bool(ends)

    def _make(self, need: Need) -> None:
        number = len(self.trials)
        fields, candidate = self._maker.make(number, need)
        self.record("trial", **fields)
        self._begin(number, candidate)

    def _begin(self, number: int, candidate: Candidate) -> None:
        if candidate.reason:
            self._telling.tell_infeasible(number, candidate)
        else:
            self._enqueue(number)

    # Replicates.

    def _enqueue(self, number: int) -> None:
        trial = self.trials[number]
        for seed in trial.seeds:
            replicate = trial.replicates.get(seed)
            if replicate is not None and replicate.outcome == "paused":
                self._queue.hold(trial, seed)
            elif replicate is None or replicate.outcome in UNDER_WAY:
                known = self._queue.request(trial, seed)
                if known is not None and not self._serves(known, trial):
                    self._queue.forget(trial, seed)
                    known = self._queue.request(trial, seed)
                if known is not None:
                    self._copy(known, (number, seed))
        self._telling.tell_if_ended(number)

    def _serves(self, known: Replicate, trial: TrialHistory) -> bool:
        """Whether a replicate may stand for that of another trial: beyond a search its weights are needed."""
        outcome = self.trials[known[0]].replicates[known[1]].outcome
        whole = outcome == "complete" and self._workplace.folder.weights(*known).exists()
        # What was stopped half-way answers a search alone.
        return trial.phase == "search" or outcome == "failed" or whole

    def _start(self, replicates: Sequence[Replicate], until: int | None = None) -> None:
        replicates = [one for one in replicates if not self._take_over(*one)]
        if not replicates:
            return
        more: dict[str, Any] = {"packed": [seed for _, seed in replicates]} if len(replicates) > 1 else {}
        until = until or self._pausing.pause_after(self.trials[replicates[0][0]], replicates[0][1])
        if until is not None:
            more["until"] = until
        for number, seed in replicates:
            earlier = self.trials[number].replicates.get(seed)
            attempt = earlier.attempts + 1 if earlier else 1
            self.record("started", trial=number, seed=seed, attempt=attempt, **more)
            self._running[number, seed] = replicates[0]
        jobs = tuple(replace(self.job(*replicate), pause_after=until) for replicate in replicates)
        self._workplace.executor.submit(jobs[0] if len(jobs) == 1 else Pack(jobs))

    def _take_over(self, number: int, seed: int) -> bool:
        """Record the result that another study has of a replicate; False where none has."""
        finder = None if (number, seed) in self._for_weights else self._taking_over
        known = finder.find(self.trials[number], seed) if finder else None
        if known is None:
            return False
        self._ledger.record_epochs(known.epochs(number))
        self.record("replicate", **known.end(number))
        self._close(number, seed)
        return True

    def job(self, number: int, seed: int) -> Job:
        """Everything that is needed to train a replicate."""
        return build_job(self._study, self._workplace, self.trials[number], seed)

    def _hear(self, reports: Sequence[EpochReport]) -> None:
        self._ledger.record_epochs(
            describe_report(report)
            for report in reports
            if not is_known(report, self.trials[report.trial].replicates[report.seed])
        )
        for report in reports:
            # Also of one that is to stop: its journal has what a worker says before it hears of that.
            if self._searches.hear(report) and report.replicate not in self._stopping:
                self._stop(report.replicate)
        for replicate in self._gate.overdue():
            if replicate in self._running and replicate not in self._stopping:
                self._overdue.add(replicate)
                self._stop(replicate)

    def _stop(self, replicate: Replicate) -> None:
        self._stopping.add(replicate)
        self._workplace.executor.stop(*replicate)

    def _end(self, result: Result) -> None:
        self._workplace.folder.check_failure(result.reason)
        number, seed = result.trial, result.seed
        pack = self._running.pop((number, seed), None)
        self._stopping.discard((number, seed))
        lost, reason = result.outcome == "lost", result.reason
        self._lost[number, seed] += lost
        left = self._study.execution.retries - self._lost[number, seed]
        if (number, seed) in self._overdue and result.outcome == "stopped":
            self._overdue.discard((number, seed))
            reason = "stopped, for the budget has no room for another epoch"
            # A search can do without; whatever else was asked for goes on when there is more to spend.
            lost = self.trials[number].phase != "search"
        again = lost and left >= 0
        self.record(
            "replicate",
            trial=number,
            seed=seed,
            outcome=("lost" if again else "failed") if lost else result.outcome,
            reason=reason,
            epochs=len(self.trials[number].replicates[seed].epochs) if lost else result.epochs,
            metrics=result.metrics,
            **({"note": result.note} if result.note else {}),
        )
        if result.outcome == "paused":
            self._searches.pause(self.trials[number])
            return
        if again:
            packed = self.trials[number].replicates[seed].packed
            self._queue.put_back(number, seed, pack=pack if packed and left else None)
            return
        self._close(number, seed)

    def _close(self, number: int, seed: int) -> None:
        """Do what follows when a replicate has its result."""
        self._keeping.end(number, seed)
        waiting = self._queue.end(self.trials[number], seed)
        served = [other for other in waiting if self._serves((number, seed), self.trials[other[0]])]
        if any(self.trials[other].phase != "search" for other, _ in served):
            self._keeping.lend(number, seed)
        self._telling.tell_if_ended(number)
        for other in served:
            self._copy((number, seed), other)
            self._telling.tell_if_ended(other[0])
        unserved = [replicate for replicate in waiting if replicate not in served]
        if unserved:
            self._queue.forget(self.trials[number], seed)
        for trial, its_seed in unserved:
            self._queue.request(self.trials[trial], its_seed)

    def _copy(self, known: Replicate, to: Replicate) -> None:
        replicate = self.trials[known[0]].replicates[known[1]]
        self.record(
            "replicate",
            trial=to[0],
            seed=to[1],
            outcome=replicate.outcome,
            reason=replicate.reason,
            epochs=len(replicate.epochs),
            metrics=dict(replicate.metrics),
            repeated_of=known[0],
        )
