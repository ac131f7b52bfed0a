"""What stays on disk of trainings, and for whom: weights, and states while they are needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archsearch.journal import Journal, read_journal
from archsearch.search.conductor import Conductor
from archsearch.search.keeping import Keeping
from archsearch.search.ranking import rank, reported_trials
from archsearch.study import parse_study
from archsearch.training import Job, Pack
from archsearch.training.values import Replicate, as_pack
from tests.search.conftest import Laboratory, TableExecutor
from tests.search.test_conductor import SEARCH, SWEEP
from tests.search.test_resuming import ONE


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


def test_weights_of_a_trial_that_the_budget_cut_short_stay_for_its_test(laboratory: Laboratory) -> None:
    text = ONE.replace("seeds: 1", "seeds: 3") + "execution: {keep: none}\n"
    laboratory.run(f"{text}budget: {{epochs: 12}}\n", WritingExecutor()).close()
    assert names(laboratory, "weights") == weights((0, 0), (0, 1))
    with Journal.open(laboratory.folder.journal) as journal:
        journal.append("question", text="")

    conductor = laboratory.run(f"{text}budget: {{epochs: 18}}\n", WritingExecutor())
    assert names(laboratory, "weights") == weights((0, 0), (0, 1), (0, 2))
    conductor.close()
    assert names(laboratory, "weights") == set()


def test_a_baseline_is_trained_in_full_though_its_twin_was_stopped(laboratory: Laboratory) -> None:
    text = SEARCH.replace("architecture: {layout: cifar, width: 8}\n", "")
    text = text.replace("  shortcut: {choice: [pad, projection], when: {block: residual}}\n", "")
    text = text.replace("[plain, residual]", "[residual]")
    text = text.replace("{low: 0.01, high: 0.5, log: true}", "[0.1]") + "sampler: grid\nscheduler: asha\n"
    worst = lambda job: [0.1 if job.architecture.depth == 20 else 0.9] * job.training.epochs  # noqa: E731
    first = laboratory.run(text, WritingExecutor(curve=worst))
    twin = next(trial for trial in first.trials.values() if trial.architecture["depth"] == 20)
    assert twin.outcome == "pruned"

    conductor = laboratory.run(f"{text}include: [resnet20]\n", WritingExecutor(curve=worst))

    baseline = next(trial for trial in conductor.trials.values() if trial.phase == "include")
    assert baseline.architecture_id == twin.architecture_id
    assert (baseline.outcome, len(baseline.replicates[0].epochs)) == ("complete", 4)
