"""Replicates that go on from a checkpoint: what journal, pruner and MLflow then hold of each epoch."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest

from archsearch.journal import Record, read_journal, replay
from archsearch.search.conductor import Conductor
from archsearch.search.spending import Spending
from archsearch.tracking.deriving import Rows
from archsearch.training import EpochReport, Job, Pack, Result
from archsearch.training.values import Replicate, as_pack
from tests.search.conftest import Laboratory, TableExecutor
from tests.search.test_conductor import SEARCH, SWEEP

ONE = SWEEP.replace("sweep: {block: [plain, residual], depth: [8, 14]}", "sweep: {depth: [8]}").replace(
    "seeds: 2", "seeds: 1"
).replace("epochs: 2", "epochs: 6")  # fmt: skip


class KeepingExecutor:
    """Trains one job at a time, an epoch a call; keeps its state after some epochs, and loses some workers.

    Args:
        kept: Epochs after which the state is kept.
        lost: The first attempts die after so many epochs of their own.
        noise: What each attempt adds to the accuracies, as devices do that are not deterministic.
    """

    slots = 1

    def __init__(self, kept: tuple[int, ...] = (), lost: tuple[int, ...] = (), noise: float = 0.0) -> None:
        self.states: dict[Replicate, list[EpochReport]] = {}
        self.attempts: Counter[Replicate] = Counter()
        self._kept, self._lost, self._noise = kept, deque(lost), noise
        self._events: deque[EpochReport | Result] = deque()

    def submit(self, work: Job | Pack) -> None:
        (job,) = as_pack(work).jobs
        self.attempts[job.replicate] += 1
        reports = list(self.states.get(job.replicate, ()))
        self._events += [replace(report, recalled=True) for report in reports]
        left = self._lost.popleft() if self._lost else job.training.epochs
        while len(reports) < job.training.epochs and left:
            accuracy = len(reports) / 10 + job.seed / 100 + self._noise * self.attempts[job.replicate]
            metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy}
            reports.append(EpochReport(*job.replicate, len(reports), metrics))
            self._events.append(reports[-1])
            left -= 1
            if len(reports) in self._kept:
                self.states[job.replicate] = list(reports)
        complete = len(reports) == job.training.epochs
        self._events.append(
            Result(*job.replicate, "complete", "", len(reports), dict(reports[-1].metrics))
            if complete
            else Result(*job.replicate, "lost", "worker died: killed by signal 9", len(reports), {})
        )

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        return self._events.popleft() if self._events and timeout_s != 0 else None

    def stop(self, trial: int, seed: int) -> None:
        events = [event for event in self._events if isinstance(event, EpochReport)]
        self._events = deque([Result(trial, seed, "stopped", "", events[0].epoch if events else 6, {})])

    def __enter__(self) -> KeepingExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def trained(records: list[Record]) -> list[int]:
    return [record.fields["epoch"] for record in records if record.kind == "epoch"]


def mlflow_steps(records: list[Record], metric: str) -> list[int]:
    rows = Rows()
    points = []
    for record in records:
        rows.add(record)
        for row in rows.changed.values():
            points += [point.step for point in row.points if point.name == metric]
            row.points.clear()
    return points


def accuracies(conductor: Conductor) -> list[float]:
    return [metrics["val_accuracy"] for metrics in conductor.trials[0].replicates[0].epochs]


def test_epochs_before_the_checkpoint_are_not_trained_again(laboratory: Laboratory) -> None:
    conductor = laboratory.run(ONE, KeepingExecutor(kept=(2,), lost=(3,)))

    records = read_journal(laboratory.folder.journal)
    replicate = conductor.trials[0].replicates[0]
    assert trained(records) == [0, 1, 2, 2, 3, 4, 5]
    assert accuracies(conductor) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert (replicate.attempts, replicate.outcome) == (2, "complete")
    assert len(replicate.epoch_times) == 6
    assert sorted(replicate.epoch_times) == list(replicate.epoch_times)
    spending = Spending()
    for record in records:
        spending.add(record)
    assert spending.epochs == 7


def test_without_a_checkpoint_all_are_trained_again(laboratory: Laboratory) -> None:
    conductor = laboratory.run(ONE, KeepingExecutor(lost=(3,)))
    assert trained(read_journal(laboratory.folder.journal)) == [0, 1, 2, 0, 1, 2, 3, 4, 5]
    assert accuracies(conductor) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize("heard", [0, 1, 3])
def test_what_a_dead_conductor_did_not_hear_is_told_to_the_next(heard: int, laboratory: Laboratory) -> None:
    executor = KeepingExecutor(kept=(4,))
    laboratory.run(ONE, executor)
    first = next(r.number for r in read_journal(laboratory.folder.journal) if r.kind == "epoch")
    laboratory.keep(first - 1 + heard)

    conductor = laboratory.run(ONE, executor)

    assert trained(read_journal(laboratory.folder.journal)) == [0, 1, 2, 3, 4, 5]
    assert accuracies(conductor) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert conductor.trials[0].replicates[0].attempts == 2


def test_where_attempts_differ_the_history_is_that_of_the_weights(laboratory: Laboratory) -> None:
    executor = KeepingExecutor(kept=(2, 5), lost=(4, 3), noise=0.001)
    conductor = laboratory.run(ONE, executor)
    # the first attempt up to its state, the second from there to its own, then the third
    expected = [0.001, 0.101, 0.202, 0.302, 0.402, 0.503]
    assert accuracies(conductor) == pytest.approx(expected, abs=1e-9)
    assert replay(read_journal(laboratory.folder.journal)).trials[0].replicates[0].epochs == (
        conductor.trials[0].replicates[0].epochs
    )


def test_mlflow_gets_each_epoch_once(laboratory: Laboratory) -> None:
    laboratory.run(ONE, KeepingExecutor(kept=(2, 5), lost=(4, 3), noise=0.001))
    records = read_journal(laboratory.folder.journal)
    assert trained(records).count(3) == 2
    header = replace(records[0], fields={**records[0].fields, "uid": "u"})
    steps = mlflow_steps([header, *records[1:]], "val_accuracy")
    # the last one is the value at the end, where it differs from the curve's
    assert [step for step, again in zip(steps, [None, *steps], strict=False) if step != again] == [*range(6)]


def test_the_pruner_hears_each_epoch_once(laboratory: Laboratory) -> None:
    heard: list[tuple[int, int]] = []
    text = SEARCH.replace("trials: 12", "trials: 3").replace("epochs: 4", "epochs: 6")
    text += "pruner: {name: median, n_startup_trials: 3}\n"

    def listen(record: Record) -> None:
        if record.kind == "epoch":
            heard.append((record.fields["trial"], record.fields["epoch"]))

    # Optuna warns of a step that it hears again, and warnings are errors
    executor = KeepingExecutor(kept=(2,), lost=(4,))
    conductor = laboratory.run(text, executor, listen=listen)
    assert heard.count((0, 3)) == 2
    frozen = conductor._searches.of({}).frozen(0)
    # the last epoch is the trial's value, and no longer the pruner's
    assert sorted(frozen.intermediate_values) == [1, 2, 3, 4, 5]


def test_a_failure_before_the_first_report_leaves_no_epochs_of_others(laboratory: Laboratory) -> None:
    laboratory.run(ONE, KeepingExecutor(lost=(3,)))
    records = read_journal(laboratory.folder.journal)
    started = [place for place, record in enumerate(records) if record.kind == "started"]
    fields = {"trial": 0, "seed": 0, "outcome": "failed", "reason": "", "epochs": 0, "metrics": {}}
    records[started[1] + 1 :] = [Record(started[1] + 2, records[-1].time, "replicate", fields)]
    assert replay(records).trials[0].replicates[0].epochs == ()


def test_one_that_loses_every_worker_keeps_what_it_had_reported(laboratory: Laboratory) -> None:
    executor = KeepingExecutor(kept=(2,), lost=(3, 0))
    conductor = laboratory.run(f"{ONE}execution: {{retries: 1}}\n", executor)
    replicate = conductor.trials[0].replicates[0]
    assert replicate.outcome == "failed"
    assert len(replicate.epochs) == 3


# What stays on disk.


class LateExecutor(TableExecutor):
    """A training that is to stop goes on for another epoch, as one does that has not heard of it yet."""

    def stop(self, trial: int, seed: int) -> None:
        job, done = next(entry for entry in self._jobs if entry[0].replicate == (trial, seed))
        self._jobs.remove((job, done))
        self._jobs.appendleft((job, done))
        self._late = (trial, seed)

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        event = super().wait(timeout_s)
        if getattr(self, "_late", None) is not None:
            super().stop(*self._late)
            self._late = None
        return event


@pytest.mark.parametrize("pruner", ["{name: median, n_startup_trials: 2}", "successive_halving"])
def test_a_search_remembers_of_each_trial_what_it_had_heard(pruner: str, laboratory: Laboratory) -> None:
    text = SEARCH.replace("epochs: 4", "epochs: 9") + f"pruner: {pruner}\n"
    before = laboratory.run(text, LateExecutor(slots=2))
    pruned = [trial for trial in before.trials.values() if trial.outcome == "pruned"]
    assert pruned

    after = laboratory.run(text.replace("trials: 12", "trials: 13"), LateExecutor(slots=2))

    for number in before.trials:
        one, other = (conductor._searches.frozen(conductor.trials[number]) for conductor in (before, after))
        assert one.intermediate_values == other.intermediate_values, number
        assert (one.state, one.values) == (other.state, other.values)
