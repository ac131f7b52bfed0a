"""Which replicates a conductor packs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from archsearch.journal import Record, ReplicateHistory, read_journal
from archsearch.search.pacing import Gate
from archsearch.search.packs import count_waits, share_equally
from archsearch.search.replicates import Replicate, ReplicateQueue
from archsearch.training import Job
from tests.search.conftest import Laboratory, TableExecutor, hashed_curve
from tests.search.test_conductor import SEARCH, SWEEP, told


def sizes(executor: TableExecutor) -> list[int]:
    return [len(pack) for pack in executor.packs]


THREE = SWEEP.replace("seeds: 2", "seeds: 3")
ONE_CELL = THREE.replace("sweep: {block: [plain, residual], depth: [8, 14]}", "sweep: {depth: [8]}")


def test_without_a_pack_each_replicate_travels_alone(laboratory: Laboratory) -> None:
    executor = TableExecutor(slots=2)
    laboratory.run(THREE, executor)
    assert sizes(executor) == [1] * 12


@pytest.mark.parametrize(
    ("slots", "pack", "expected"),
    [(1, 3, [3, 3, 3, 3]), (1, 2, [2, 1] * 4), (2, 3, [3, 3, 3, 3]), (1, 8, [3, 3, 3, 3])],
)
def test_replicates_of_a_trial_are_packed(
    slots: int, pack: int, expected: list[int], laboratory: Laboratory
) -> None:
    executor = TableExecutor(slots)
    conductor = laboratory.run(THREE, executor, pack=pack)

    assert sizes(executor) == expected
    assert all(len({trial for trial, _ in together}) == 1 for together in executor.packs)
    assert sorted(executor.trained) == [(trial, seed) for trial in range(4) for seed in range(3)]
    assert {trial.outcome for trial in conductor.trials.values()} == {"complete"}


@pytest.mark.parametrize(("slots", "expected"), [(2, [2, 1]), (3, [1, 1, 1]), (5, [1, 1, 1])])
def test_no_worker_stays_idle_for_the_sake_of_a_larger_pack(
    slots: int, expected: list[int], laboratory: Laboratory
) -> None:
    executor = TableExecutor(slots)
    laboratory.run(ONE_CELL, executor, pack=3)
    assert sizes(executor) == expected


THREE_CELLS = THREE.replace("depth: [8, 14]}", "depth: [8, 14, 20]}").replace("[plain, residual]", "[plain]")


@pytest.mark.parametrize(("device", "expected"), [("cpu", [3, 3, 2, 1]), ("cuda", [3, 3, 3])])
def test_on_a_cpu_the_last_pack_is_shared_with_the_worker_that_is_about_to_end(
    device: Literal["cpu", "cuda"], expected: list[int], laboratory: Laboratory
) -> None:
    executor = TableExecutor(slots=2)
    conductor = laboratory.run(THREE_CELLS, executor, pack=3, device=device)

    assert sizes(executor) == expected
    assert {trial.outcome for trial in conductor.trials.values()} == {"complete"}


@pytest.mark.parametrize(
    ("count", "waits", "expected"),
    [
        (5, [], 5),
        (5, [0.0], 3),
        (5, [0.0, 0.0], 2),
        (5, [0.5], 3),
        (5, [2.0], 4),
        (5, [9.0], 5),
        (5, [9.0, 1.0], 3),
        (6, [3.0, 0.0, 0.0], 2),
    ],
)
def test_workers_that_share_end_together(count: int, waits: list[float], expected: int) -> None:
    assert share_equally(count, waits) == expected


def test_a_worker_is_busy_for_what_its_pack_has_left_to_compute(laboratory: Laboratory) -> None:
    trials = laboratory.run(THREE_CELLS, TableExecutor()).trials
    small, large = trials[2], trials[0]
    assert small.macs is not None
    assert large.macs is not None
    begun = replace(large, replicates={seed: ReplicateHistory(seed, epochs=({},)) for seed in (0, 1)})

    waits = count_waits(small, {(0, 0): (0, 0), (0, 1): (0, 0)}, {0: begun})

    epochs = large.training["epochs"]
    assert waits == pytest.approx([2 * large.macs / small.macs * (epochs - 1) / epochs])


def test_packing_changes_nothing_that_a_trial_comes_to(laboratory: Laboratory, tmp_path) -> None:
    alone = told(laboratory.run(THREE, TableExecutor(1)))
    packed = told(Laboratory(tmp_path / "packed").run(THREE, TableExecutor(1), pack=3))
    assert packed == alone


def test_a_search_is_never_packed_and_its_confirmations_are(laboratory: Laboratory) -> None:
    executor = TableExecutor(slots=2)
    text = SEARCH + "seeds: 3\n"
    conductor = laboratory.run(text, executor, pack=3)

    phases = [conductor.trials[pack[0][0]].phase for pack in executor.packs]
    assert [(phase, size) for phase, size in zip(phases, sizes(executor), strict=True) if size > 1] == [
        ("confirm", 2)
    ]
    assert phases.count("confirm") == 2


def test_a_search_is_asked_for_no_trial_ahead(laboratory: Laboratory, tmp_path) -> None:
    alone = told(laboratory.run(SEARCH, TableExecutor(1)))
    packed = told(Laboratory(tmp_path / "packed").run(SEARCH, TableExecutor(1), pack=3))
    assert packed == alone


@pytest.mark.parametrize(
    ("losses", "retries", "expected"),
    [(3, 2, [3, 3]), (6, 2, [3, 3, 1, 1, 1]), (3, 1, [3, 1, 1, 1])],
)
def test_what_was_lost_with_its_pack_is_tried_again_with_it_and_the_last_time_alone(
    losses: int, retries: int, expected: list[int], laboratory: Laboratory
) -> None:
    executor = TableExecutor(1)
    executor.losses = losses
    conductor = laboratory.run(f"{ONE_CELL}execution: {{retries: {retries}}}\n", executor, pack=3)

    assert sizes(executor) == expected
    assert conductor.trials[0].outcome == "complete"
    attempts = {replicate.attempts for replicate in conductor.trials[0].replicates.values()}
    assert attempts == {1 + losses // 3}


def test_a_pack_that_was_lost_is_not_torn_apart_for_idle_workers(laboratory: Laboratory) -> None:
    executor = TableExecutor(1)
    laboratory.run(ONE_CELL, executor, pack=3)
    started = [r.number for r in read_journal(laboratory.folder.journal) if r.kind == "started"]
    laboratory.keep(started[-1] + 1)
    executor = TableExecutor(slots=3)
    executor.losses = 3
    laboratory.run(ONE_CELL, executor, pack=3)
    # together by the journal, and again when it was lost a second time, one result after the other
    assert executor.packs == [[(0, 0), (0, 1), (0, 2)]] * 2


def test_a_replicate_that_fails_in_a_pack_fails_its_trial_alone(laboratory: Laboratory) -> None:
    def curve(job: Job) -> list[float]:
        return [float("nan")] if (job.trial, job.seed) == (1, 2) else hashed_curve(job)

    conductor = laboratory.run(THREE, TableExecutor(1, curve), pack=3)

    assert [trial.outcome for trial in conductor.trials.values()] == ["complete", "failed"] + ["complete"] * 2
    ended = conductor.trials[1].replicates
    assert [ended[seed].outcome for seed in range(3)] == ["complete", "complete", "failed"]


def test_an_interrupted_study_packs_what_is_left(laboratory: Laboratory) -> None:
    laboratory.run(THREE, TableExecutor(1), pack=3)
    ends = [r.number for r in read_journal(laboratory.folder.journal) if r.kind == "replicate"]
    laboratory.keep(ends[3])
    executor = TableExecutor(1)
    conductor = laboratory.run(THREE, executor, pack=3)

    assert sizes(executor)[0] == 2
    assert {trial.outcome for trial in conductor.trials.values()} == {"complete"}


def test_the_journal_says_who_was_trained_together(laboratory: Laboratory) -> None:
    laboratory.run(ONE_CELL, TableExecutor(1), pack=3)
    started = [record for record in read_journal(laboratory.folder.journal) if record.kind == "started"]
    assert [record.fields["packed"] for record in started] == [[0, 1, 2]] * 3


def test_the_journal_says_why_a_pack_was_trained_one_by_one(laboratory: Laboratory) -> None:
    executor = TableExecutor(1)
    executor.note = "trained alone: out of memory"
    conductor = laboratory.run(ONE_CELL, executor, pack=3)
    notes = {replicate.note for replicate in conductor.trials[0].replicates.values()}
    assert notes == {"trained alone: out of memory"}


def test_a_pack_that_was_lost_is_tried_again_only_where_the_budget_has_room_for_all_of_it(
    laboratory: Laboratory,
) -> None:
    class Room:
        """Of a budget that is counted in replicates."""

        asked: list[int] = []  # noqa: RUF012 - of this test

        def hear(self, record: Record) -> None:
            pass

        def refuse(self, what: object, replicates: int, now: float) -> str:
            self.asked.append(replicates)
            return "no room" if replicates > 2 else ""

        def overdue(self, now: float) -> list[Replicate]:
            return []

    gate, trial = Gate(Room(), lambda: 0.0), laboratory.run(ONE_CELL).trials[0]

    assert gate.count_allowed(trial, 3, least=3) == 0
    assert gate.held_back == "no room"
    assert gate.count_allowed(trial, 3) == 2
    assert Room.asked == [3, 3, 2]


def test_what_was_lost_together_is_counted_together() -> None:
    queue = ReplicateQueue()
    for seed in (0, 2):
        queue.put_back(5, seed, pack=(5, 0))
    assert queue.count_lost() == 2
    assert sorted(queue.take()) == [(5, 0), (5, 2)]
    queue.put_back(5, 1)
    assert queue.count_lost() == 0
