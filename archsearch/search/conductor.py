"""The one process that asks Optuna, submits jobs, listens, prunes, tells, and writes the journal.

Whatever it knows of trials it knows from the journal's records, its own included; so a conductor that is
started again goes on where the last one stood.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from archsearch.journal import Journal, Record, Replay, StudyHistory, TrialHistory
from archsearch.search.agenda import Agenda, Need
from archsearch.search.candidates import (
    Candidate,
    constraint_violations,
    describe_candidate,
    examine,
    examine_baseline,
)
from archsearch.search.cell_searches import CellSearches
from archsearch.search.inbox import Inbox, describe_report, is_known
from archsearch.search.jobs import Workplace, build_job
from archsearch.search.keeping import Keeping
from archsearch.search.optuna_mirror import OptunaMirror
from archsearch.search.replicates import Replicate, ReplicateQueue
from archsearch.search.settling import UNDER_WAY, Settlement, is_settled, settle
from archsearch.search.spending import Spending
from archsearch.study import StudyConfig, label_values
from archsearch.training.values import EpochReport, Job, Pack, Result


class Conductor:
    """Brings a study to its end.

    Args:
        study: The study; what the journal already holds of it is not done again.
        journal: Open for appending, with the ``study`` record.
        workplace: Executor, arithmetic, run folder.
        listen: Called with each record that is written.
        undecided: Says of a study that may add seeds which trials need another one, by their numbers.
        winding_down: Whether nothing is to be started any more, and what runs is to be finished.
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
    ) -> None:
        self._study = study
        self._journal = journal
        self._workplace = workplace
        self._listen = listen
        self._undecided = undecided
        self._winding_down = winding_down
        self._keeping = Keeping(study, workplace.folder)
        self._replay = Replay()
        self._spending = Spending()
        self._queue = ReplicateQueue()
        self._running: dict[Replicate, Replicate] = {}
        self._stopping: set[Replicate] = set()
        self._lost: Counter[Replicate] = Counter()
        self._searches = CellSearches(study, self._replay.trials)
        url, directions = study.tracking.optuna, tuple(study.objectives.values())
        self._mirror = OptunaMirror(url, study.name, directions) if url else None
        self._agenda = Agenda(study, lambda cell: self._searches.of(cell.values).exhausted)
        for record in journal.records:
            self._replay.add(record)
            self._spending.add(record)
        for trial in self.trials.values():
            self._agenda.note(trial)

    @property
    def trials(self) -> Mapping[int, TrialHistory]:
        """All trials so far; changes while the conductor runs."""
        return self._replay.trials

    @property
    def history(self) -> StudyHistory:
        """All that the journal says so far."""
        return self._replay.history()

    def take_up(self) -> bool:
        """Go on where the journal ends, once, before `run`; returns whether anything is left to do."""
        self._keeping.tidy(self.trials)
        for trial in self.trials.values():
            for seed, replicate in trial.replicates.items():
                if replicate.outcome not in UNDER_WAY:
                    self._queue.end(trial, seed)
        for number in list(self.trials):
            self._searches.restore(self.trials[number])
            self._extend_seeds(number)
            self._copy_to_mirror(number)
        for number, trial in list(self.trials.items()):
            if trial.outcome is None and not trial.replicates:
                # The last conductor may have died before it could say that this one is infeasible.
                values = {**trial.cell, **trial.values}
                self._begin(number, self._examine(trial.phase, trial.name, values))
            elif trial.outcome != "infeasible" and not is_settled(trial):
                self._enqueue(number)
        work_left = not self._spent() and (
            len(self._queue) > 0 or self._agenda.next_need() is not None or bool(self._short_of_seeds())
        )
        if not work_left and self._mirror is not None:
            self._mirror.close()
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
                    if self._stops_short() or not self._add_seeds():
                        break
                    continue
                event = inbox.wait()
                if isinstance(event, Result):
                    self._end(event)
                elif event is not None:
                    self._hear(event)
        finally:
            # Also when it is interrupted: what has ended is copied to the end.
            if self._mirror is not None:
                self._mirror.close()
        return self._stops_short() or "every trial asked for has ended"

    def close(self) -> None:
        """Remove the weights that are not to be kept, when the study has ended and its test set was read."""
        self._keeping.empty(self.trials.values())

    @property
    def _busy(self) -> int:
        """Slots in use: a pack is known by its first replicate."""
        together = self._workplace.compute.pack > 1
        return len(set(self._running.values())) if together else len(self._running)

    def _stops_short(self) -> str:
        return "asked to stop" if self._winding_down() else self._spent()

    def _spent(self) -> str:
        return self._spending.exceeds(self._study.budget, now=self._journal.now())

    def record(self, kind: str, **fields: Any) -> None:
        """Write a record to the journal and take it into account."""
        self._take_into_account(self._journal.append(kind, **fields))

    def _take_into_account(self, record: Record) -> None:
        self._replay.add(record)
        self._spending.add(record)
        if record.kind in ("trial", "told"):
            self._agenda.note(self.trials[record.fields["trial"]])
        self._listen(record)

    # Going on where the journal ends.

    def _extend_seeds(self, number: int) -> None:
        trial = self.trials[number]
        more = [seed for seed in self._seeds(trial.phase) if seed not in trial.seeds]
        if more and trial.outcome != "infeasible":
            self._describe_again(number, more)

    def _describe_again(self, number: int, more: Sequence[int], **added: Any) -> None:
        described = next(
            record.fields
            for record in self._journal.records
            if record.kind == "trial" and record.fields["trial"] == number
        )
        self.record("trial", **{**described, "seeds": [*self.trials[number].seeds, *more], **added})

    # Adding seeds where they are needed.

    def _short_of_seeds(self) -> dict[int, int]:
        """The next seed of each trial that needs one, when nothing else is left to do."""
        more = self._study.more_seeds
        # Each look adds a seed at most, and spends a share of the error rate.
        if not more or self.history.looks >= len(more):
            return {}
        unused = {
            number: [seed for seed in more if seed not in self.trials[number].seeds]
            for number in self._undecided(self._study, self.history)
        }
        return {number: seeds[0] for number, seeds in unused.items() if seeds}

    def _add_seeds(self) -> bool:
        """Queue them; False where all is decided, or the most seeds are reached."""
        short, look = self._short_of_seeds(), self.history.looks + 1
        for number, seed in short.items():
            self._describe_again(number, [seed], look=look)
            self._enqueue(number)
        return bool(short)

    # Making trials.

    def _advance(self) -> bool:
        """Start queued replicates or make a trial; False where neither is to be done now.

        Replicates of one trial are packed, no more of them than an idle worker's equal share of all that are
        queued: no worker stays idle for the sake of a larger pack.
        """
        pack, idle = self._workplace.compute.pack, max(1, self._workplace.executor.slots - self._busy)
        if len(self._queue) < (idle * pack if pack > 1 else 1):
            need = self._agenda.next_need()
            # what a search proposes depends on what has ended before, so none is made ahead
            if need is not None and (need.phase != "search" or not len(self._queue)):
                self._make(need)
                return True
        if not len(self._queue) or self._queue.next_pack in self._running.values():
            # in the second case others of the pack that was lost are still to be heard of
            return False
        self._start(self._queue.take(min(pack, math.ceil(len(self._queue) / idle))))
        return True

    def _make(self, need: Need) -> None:
        number = len(self.trials)
        cell = dict(need.cell.values) if need.cell else {}
        values = dict(need.confirms.values) if need.confirms else {}
        memo = None
        if need.phase == "search":
            values, memo = self._searches.of(cell).ask(number)
        candidate = self._examine(need.phase, need.name, {**cell, **values})
        self.record(
            "trial",
            trial=number,
            phase=need.phase,
            cell=cell,
            values=values,
            seeds=list(self._seeds(need.phase)),
            optuna=asdict(memo) if memo else None,
            **describe_candidate(candidate, need.name),
        )
        self._begin(number, candidate)

    def _examine(self, phase: str, name: str, values: Mapping[str, Any]) -> Candidate:
        if phase == "include":
            return examine_baseline(self._study, name)
        return examine(self._study, values)

    def _begin(self, number: int, candidate: Candidate) -> None:
        if candidate.reason:
            self._tell(number, Settlement("infeasible", candidate.reason, None, {}), candidate.violations)
        else:
            self._enqueue(number)

    def _seeds(self, phase: str) -> tuple[int, ...]:
        if phase == "search" or not self._study.seeds:
            return (self._study.search_seed,)
        return self._study.seeds

    # Replicates.

    def _enqueue(self, number: int) -> None:
        trial = self.trials[number]
        for seed in trial.seeds:
            replicate = trial.replicates.get(seed)
            if replicate is None or replicate.outcome in UNDER_WAY:
                known = self._queue.request(trial, seed)
                if known is not None and not self._serves(known, trial):
                    self._queue.forget(trial, seed)
                    known = self._queue.request(trial, seed)
                if known is not None:
                    self._copy(known, (number, seed))
        self._tell_if_ended(number)

    def _serves(self, known: Replicate, trial: TrialHistory) -> bool:
        """Whether a replicate may stand for that of another trial: beyond a search its weights are needed."""
        complete = self.trials[known[0]].replicates[known[1]].outcome == "complete"
        return trial.phase == "search" or not complete or self._workplace.folder.weights(*known).exists()

    def _start(self, replicates: Sequence[Replicate]) -> None:
        packed = {"packed": [seed for _, seed in replicates]} if len(replicates) > 1 else {}
        for number, seed in replicates:
            earlier = self.trials[number].replicates.get(seed)
            attempt = earlier.attempts + 1 if earlier else 1
            self.record("started", trial=number, seed=seed, attempt=attempt, **packed)
            self._running[number, seed] = replicates[0]
        jobs = tuple(self.job(*replicate) for replicate in replicates)
        self._workplace.executor.submit(jobs[0] if len(jobs) == 1 else Pack(jobs))

    def job(self, number: int, seed: int) -> Job:
        """Everything that is needed to train a replicate."""
        return build_job(self._study, self._workplace, self.trials[number], seed)

    def _hear(self, reports: Sequence[EpochReport]) -> None:
        rows = [
            describe_report(report)
            for report in reports
            if not is_known(report, self.trials[report.trial].replicates[report.seed])
        ]
        for record in self._journal.append_all("epoch", rows) if rows else ():
            self._take_into_account(record)
        for report in reports:
            self._stop_if_pruned(report)

    def _stop_if_pruned(self, report: EpochReport) -> None:
        number, seed = report.trial, report.seed
        if (number, seed) not in self._stopping and self._searches.hear(report):
            self._stopping.add((number, seed))
            self._workplace.executor.stop(number, seed)

    def _end(self, result: Result) -> None:
        self._workplace.folder.check_failure(result.reason)
        number, seed = result.trial, result.seed
        pack = self._running.pop((number, seed), None)
        self._stopping.discard((number, seed))
        lost = result.outcome == "lost"
        self._lost[number, seed] += lost
        left = self._study.execution.retries - self._lost[number, seed]
        again = lost and left >= 0
        self.record(
            "replicate",
            trial=number,
            seed=seed,
            outcome="failed" if lost and not again else result.outcome,
            reason=result.reason,
            epochs=len(self.trials[number].replicates[seed].epochs) if lost else result.epochs,
            metrics=result.metrics,
            **({"note": result.note} if result.note else {}),
        )
        if again:
            packed = self.trials[number].replicates[seed].packed
            self._queue.put_back(number, seed, pack=pack if packed and left else None)
            return
        self._keeping.end(number, seed)
        waiting = self._queue.end(self.trials[number], seed)
        if any(self.trials[other].phase != "search" for other, _ in waiting):
            self._keeping.lend(number, seed)
        self._tell_if_ended(number)
        for other in waiting:
            self._copy((number, seed), other)
            self._tell_if_ended(other[0])

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

    # Outcomes.

    def _tell_if_ended(self, number: int) -> None:
        trial = self.trials[number]
        replicates = [trial.replicates.get(seed) for seed in trial.seeds]
        if any(replicate is None or replicate.outcome in UNDER_WAY for replicate in replicates):
            return
        quantities = {"depth": trial.architecture["depth"]}
        for name in ("parameters", "macs", "activation_mib"):
            quantities[name] = getattr(trial, name)
        violations = constraint_violations(self._study.constraints, quantities)
        self._tell(number, settle(trial, tuple(self._study.objectives)), violations)

    def _tell(self, number: int, settlement: Settlement, violations: Mapping[str, float]) -> None:
        trial = self.trials[number]
        repeats = {replicate.repeated_of for replicate in trial.replicates.values()}
        repeated = bool(repeats) and None not in repeats
        attributes = self._searches.tell(trial, settlement, violations, repeated=repeated)
        self.record(
            "told",
            trial=number,
            outcome="repeated" if repeated else settlement.outcome,
            reason=settlement.reason,
            values=settlement.values,
            metrics=dict(settlement.metrics),
            repeated_of=min(number for number in repeats if number is not None) if repeated else None,
            optuna_attributes=attributes,
        )
        self._keeping.note(self.trials[number])
        self._copy_to_mirror(number)

    def _copy_to_mirror(self, number: int) -> None:
        trial = self.trials[number]
        if self._mirror is not None and trial.optuna is not None and trial.outcome is not None:
            self._mirror.add(label_values(trial.cell), number, self._searches.frozen(trial))
