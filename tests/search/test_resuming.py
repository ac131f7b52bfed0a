"""Replicates that go on from a checkpoint: what journal, pruner and MLflow then hold of each epoch."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch.journal import Record, read_journal, replay
from archsearch.search.conductor import Conductor
from archsearch.search.keeping import Keeping
from archsearch.search.ranking import rank, reported_trials
from archsearch.search.spending import Spending
from archsearch.study import parse_study
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


class WritingExecutor(TableExecutor):
    """Leaves a file of weights of whatever completes, and a state of whatever begins."""

    def submit(self, work: Job | Pack) -> None:
        super().submit(work)
        for job in as_pack(work).jobs:
            for path in (job.checkpointing.path, job.weights_path):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text(f"{job.trial}/{job.seed}")


def names(laboratory: Laboratory, folder: str) -> set[str]:
    return {path.name for path in (laboratory.folder.path / folder).glob("*")}


def weights(*replicates: Replicate) -> set[str]:
    return {f"trial-{trial:04d}-seed-{seed}.safetensors" for trial, seed in replicates}


def run_keeping(laboratory: Laboratory, text: str, keep: str) -> Conductor:
    conductor = laboratory.run(f"{text}execution: {{keep: {keep}}}\n", WritingExecutor(slots=2))
    conductor.close()
    return conductor


def test_checkpoints_are_gone_when_the_replicates_have_ended(laboratory: Laboratory) -> None:
    seen = []
    laboratory.run(
        SWEEP, WritingExecutor(slots=2), listen=lambda _: seen.append(names(laboratory, "checkpoints"))
    )
    assert names(laboratory, "checkpoints") == set()
    # one for each training that runs, or has this moment ended
    assert 2 <= max(map(len, seen)) <= 3


def test_what_a_crash_left_is_removed_by_the_next_run(laboratory: Laboratory) -> None:
    laboratory.run(SWEEP, WritingExecutor())
    ends = [r.number for r in read_journal(laboratory.folder.journal) if r.kind == "replicate"]
    laboratory.keep(ends[2])
    ended, under_way = laboratory.folder.checkpoint(0, 0), laboratory.folder.checkpoint(1, 1)
    half = laboratory.folder.weights(0, 0).with_suffix(".123.part")
    for path in (ended, under_way, under_way.with_suffix(".7.part"), half):
        path.write_text("left")
    found: list[set[str]] = []

    class Watching(WritingExecutor):
        def submit(self, work: Job | Pack) -> None:
            found.append(names(laboratory, "checkpoints"))
            super().submit(work)

    laboratory.run(SWEEP, Watching())
    assert found[0] == {under_way.name}
    assert names(laboratory, "checkpoints") == set()
    assert not half.exists()


def best_of(conductor: Conductor, choose: Callable[..., object] = max) -> int:
    complete = [trial for trial in conductor.trials.values() if trial.outcome == "complete"]
    return choose(complete, key=lambda trial: trial.objective_values[0]).number


def test_a_search_keeps_its_best(laboratory: Laboratory) -> None:
    conductor = run_keeping(laboratory, SEARCH, "best")
    assert names(laboratory, "weights") == weights((best_of(conductor), 0))
    grown = SEARCH.replace("trials: 12", "trials: 16")
    conductor = run_keeping(laboratory, grown, "best")
    assert names(laboratory, "weights") == weights((best_of(conductor), 0))


def test_of_equals_the_one_is_kept_that_is_reported(laboratory: Laboratory) -> None:
    executor = WritingExecutor(curve=lambda job: [0.5] * job.training.epochs)
    conductor = laboratory.run(f"{SEARCH}execution: {{keep: all}}\n", executor)
    keeping = Keeping(parse_study(SEARCH, "study.yaml"), laboratory.folder)
    # whatever the order in which they end
    for trial in reversed(conductor.trials.values()):
        keeping.note(trial)
    reported = rank(reported_trials(conductor.trials.values()), {"val_accuracy": "maximize"})
    assert names(laboratory, "weights") == weights((reported[0].number, 0)) == weights((0, 0))


def test_a_sweep_keeps_all_of_its_cells(laboratory: Laboratory) -> None:
    conductor = run_keeping(laboratory, SWEEP, "best")
    assert names(laboratory, "weights") == weights(
        *((trial, seed) for trial in conductor.trials for seed in (0, 1))
    )


def test_all_keeps_all_that_was_trained(laboratory: Laboratory) -> None:
    conductor = run_keeping(laboratory, SEARCH, "all")
    complete = [(trial.number, 0) for trial in conductor.trials.values() if trial.outcome == "complete"]
    assert len(complete) > 5
    assert names(laboratory, "weights") == weights(*complete)
    # the setting may change, and holds from then on
    conductor = run_keeping(laboratory, SEARCH.replace("trials: 12", "trials: 13"), "best")
    assert names(laboratory, "weights") == weights((best_of(conductor), 0))


@pytest.mark.parametrize("text", [SEARCH, SWEEP], ids=["search", "sweep"])
def test_none_keeps_nothing_once_the_study_has_ended(text: str, laboratory: Laboratory) -> None:
    seen = []
    conductor = laboratory.run(
        f"{text}execution: {{keep: none}}\n",
        WritingExecutor(slots=2),
        listen=lambda _: seen.append(len(names(laboratory, "weights"))),
    )
    # the test set is yet to be read
    assert laboratory.folder.weights(best_of(conductor), 0).exists()
    conductor.close()
    assert names(laboratory, "weights") == set()


def test_several_objectives_keep_their_front(laboratory: Laboratory) -> None:
    text = SEARCH.replace("{val_accuracy: maximize}", "{val_accuracy: maximize, parameters: minimize}")
    conductor = run_keeping(laboratory, text, "best")
    complete = [trial for trial in conductor.trials.values() if trial.outcome == "complete"]
    front = [
        (one.number, 0)
        for one in complete
        if not any(
            other.objective_values[0] >= one.objective_values[0]
            and other.objective_values[1] <= one.objective_values[1]
            and other.objective_values != one.objective_values
            for other in complete
        )
    ]
    assert len(front) < len(complete)
    assert names(laboratory, "weights") == weights(*front)


def test_a_baseline_whose_twin_was_not_kept_is_trained(laboratory: Laboratory) -> None:
    text = SEARCH.replace("architecture: {layout: cifar, width: 8}\n", "").replace(
        "training.learning_rate: {low: 0.01, high: 0.5, log: true}", "width: [8, 16]"
    ).replace("block: [plain, residual]", "block: [residual]")  # fmt: skip
    text = text.replace("trials: 12", "trials: 20") + "sampler: grid\n"
    first = run_keeping(laboratory, text, "best")
    twin = next(
        trial
        for trial in first.trials.values()
        if (trial.architecture["depth"], trial.architecture["width"], trial.architecture["shortcut"])
        == (20, 16, "pad")
    )
    assert twin.number != best_of(first)
    executor = WritingExecutor()
    conductor = laboratory.run(f"{text}include: [resnet20]\n", executor)
    baseline = next(trial for trial in conductor.trials.values() if trial.phase == "include")
    assert baseline.architecture_id == twin.architecture_id
    assert executor.trained == [(baseline.number, 0)]
    assert laboratory.folder.weights(baseline.number, 0).exists()


def test_a_baseline_that_waits_for_its_twin_gets_its_weights(laboratory: Laboratory) -> None:
    text = SEARCH.replace("architecture: {layout: cifar, width: 8}\n", "").replace("trials: 12", "trials: 3")
    text = text.replace("[8, 14, 20]", "[20, 8]").replace("[plain, residual]", "[residual]")
    text = text.replace("  shortcut: {choice: [pad, projection], when: {block: residual}}\n", "")
    text = text.replace("{low: 0.01, high: 0.5, log: true}", "[0.1, 0.2]") + "sampler: grid\n"
    worst = lambda job: [0.1 if job.architecture.depth == 20 else 0.9] * job.training.epochs  # noqa: E731
    run_keeping(laboratory, text.replace("trials: 3", "trials: 4"), "best")
    twin = next(
        trial.number
        for trial in laboratory.folder.history().trials.values()
        if (trial.architecture["depth"], trial.training["learning_rate"]) == (20, 0.1)
    )
    # the conductor died while the twin was trained
    started = [r.number for r in read_journal(laboratory.folder.journal) if r.kind == "started"]
    laboratory.keep(started[twin])
    executor = WritingExecutor(slots=2, curve=worst)
    conductor = laboratory.run(f"{text}include: [resnet20]\n", executor)

    baseline = next(trial for trial in conductor.trials.values() if trial.phase == "include")
    assert baseline.replicates[0].repeated_of == twin
    assert laboratory.folder.weights(twin, 0).exists()
    laboratory.run(f"{text}include: [resnet20]\n", executor)
    assert laboratory.folder.weights(twin, 0).exists()
