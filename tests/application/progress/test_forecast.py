"""What is foreseen of a study while it runs, against what comes: trainings take simulated time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from archsearch.training import Job
from tests.application.progress.simulated import (
    START,
    TRAIN_IMAGES,
    EpochSeconds,
    TimedExecutor,
    Watched,
    by_macs,
    watch,
)

SWEEP = """
name: sweep
data: digits
architecture: {{width: 8}}
sweep: {{block: [plain, residual], depth: [8, 20, 44, 110]}}
seeds: {seeds}
training: {{epochs: 10, batch_size: 64}}
"""

SEARCH = """
name: searched
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20]
  width: [8, 16]
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 24
seeds: 3
sampler: random
training: {epochs: 10, batch_size: 64}
"""


def missed(watched: Watched, *, after: int) -> list[float]:
    """By which fraction of the study's whole time each forecast was wrong, from some ended trial on."""
    whole = watched.end - START
    return [
        abs(snapshot.forecast.seconds_left - left) / whole
        for _, left, snapshot in watched.at_ends()[after - 1 :]
    ]


def by_calls(jobs: Sequence[Job]) -> float:
    """Seconds of an epoch of small networks: mostly a constant for each layer, which packs share."""
    steps = -(-TRAIN_IMAGES // jobs[0].training.batch_size)
    return jobs[0].architecture.depth * steps * 2e-3 + by_macs(jobs) / 10


@pytest.mark.parametrize(("seeds", "slots", "pack"), [(1, 1, 1), (1, 2, 1), (3, 2, 1), (3, 2, 3), (2, 8, 1)])
@pytest.mark.parametrize("epoch_s", [by_macs, by_calls])
def test_from_the_second_trial_on_the_end_of_a_sweep_is_foreseen(
    epoch_s: EpochSeconds, seeds: int, slots: int, pack: int, tmp_path: Path
) -> None:
    executor = TimedExecutor(slots, epoch_s, first_s=5.0, start_s=2.0)

    watched = watch(SWEEP.format(seeds=seeds), tmp_path, executor, pack=pack)

    # What a training takes beside its epochs is known when one ended that found its worker up.
    assert max(missed(watched, after=2)) < 0.1
    assert max(missed(watched, after=5)) < 0.02


def test_knowing_the_depths_beats_counting_the_trials(tmp_path: Path) -> None:
    watched = watch(SWEEP.format(seeds=1), tmp_path, TimedExecutor(2))
    ends = watched.at_ends()

    counted = [
        abs((time - START) / ended * (len(ends) - ended) - left) / (watched.end - START)
        for ended, (time, left, _) in enumerate(ends, start=1)
    ]

    # Shallow networks come first and say too little of the deep ones: half of the time goes unseen.
    assert max(counted[1:]) > 0.3
    assert max(missed(watched, after=2)) < 0.1 * max(counted[1:])


@pytest.mark.parametrize("epoch_s", [by_macs, by_calls])
def test_the_end_of_a_search_is_foreseen_from_what_it_samples(epoch_s: EpochSeconds, tmp_path: Path) -> None:
    watched = watch(SEARCH, tmp_path, TimedExecutor(2, epoch_s))

    wrong = missed(watched, after=2)

    # Nobody can know which networks will be drawn, nor which is confirmed.
    assert max(wrong) < 0.35
    assert statistics.fmean(wrong[12:]) < 0.1
    assert all(snapshot.forecast.trials == 25 for _, _, snapshot in watched.at_ends())


def test_a_search_that_comes_to_like_cheap_networks_is_expected_to_go_on_so(tmp_path: Path) -> None:
    text = """
name: liked
data: digits
search: {depth: [8, 110], training.learning_rate: {low: 0.01, high: 0.5}}
trials: 40
sampler: {name: tpe, n_startup_trials: 4}
training: {epochs: 5, batch_size: 64}
"""
    liked = TimedExecutor(1, liked=lambda job: -job.architecture.depth / 10)

    watched = watch(text, tmp_path, liked)

    # Of a shallow network for each deep one it would take more than twice as long.
    assert statistics.fmean(missed(watched, after=12)) < 0.2


@pytest.mark.parametrize(("slots", "pack"), [(1, 1), (1, 2), (1, 3), (2, 3)])
def test_what_was_measured_alone_tells_how_long_packs_will_take(
    slots: int, pack: int, tmp_path: Path
) -> None:
    watched = watch(SEARCH, tmp_path, TimedExecutor(slots, by_calls), pack=pack)

    _, left, snapshot = watched.at_ends()[-2]

    # Before the confirmation, whose three seeds are trained together where they may be.
    assert snapshot.best is not None
    assert snapshot.best.phase == "search"
    assert snapshot.forecast.seconds_left == pytest.approx(left, rel=0.02)


def test_pruning_shortens_what_is_foreseen(tmp_path: Path) -> None:
    text = """
name: pruned
data: digits
search: {training.learning_rate: {low: 0.01, high: 0.5}}
trials: 40
sampler: random
pruner: {name: median, n_startup_trials: 1}
training: {epochs: 10, batch_size: 64}
"""

    watched = watch(text, tmp_path, TimedExecutor(1))

    assert watched.seen[-1].snapshot.outcomes["pruned"] > 10
    # Were no trial pruned, it would take nearly twice as long.
    assert max(missed(watched, after=12)) < 0.25


def test_the_share_that_is_done_grows_from_nothing_to_all(tmp_path: Path) -> None:
    watched = watch(SWEEP.format(seeds=2), tmp_path, TimedExecutor(2))

    shares = [seen.snapshot.forecast.frac for seen in watched.seen]
    ends = [(time - START, snapshot.forecast.frac) for time, _, snapshot in watched.at_ends()]

    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    # Two slots are at work nearly to the end, so work done goes with time.
    assert all(frac == pytest.approx(time / (watched.end - START), abs=0.1) for time, frac in ends)


def test_what_an_earlier_session_trained_counts_as_done_and_its_absence_for_nothing(tmp_path: Path) -> None:
    text = SWEEP.format(seeds=1)
    whole = watch(text, tmp_path / "whole", TimedExecutor(2, start_s=0.2))
    records = next(
        index for index, seen in enumerate(whole.seen) if seen.snapshot.outcomes.get("complete") == 4
    )
    watch(text, tmp_path / "again", TimedExecutor(2, start_s=0.2), until=records + 1)
    year_later = TimedExecutor(2, start_s=0.2, start=START + 365 * 86400)

    again = watch(text, tmp_path / "again", year_later)

    begun = next(seen for seen in again.seen if seen.record.kind == "started")
    left = again.end - begun.record.time
    assert begun.snapshot.forecast.seconds_left == pytest.approx(left, rel=0.05)
    assert begun.snapshot.forecast.frac == pytest.approx(whole.seen[records].snapshot.forecast.frac, abs=0.1)
    assert begun.snapshot.outcomes == {"complete": 4}
    assert max(abs(s.forecast.seconds_left - left) for _, left, s in again.at_ends()) < 0.05 * left


def test_another_machine_is_measured_anew(tmp_path: Path) -> None:
    text = SWEEP.format(seeds=1)
    watch(text, tmp_path, TimedExecutor(2), until=60)

    again = watch(text, tmp_path, TimedExecutor(4, start=START + 1e6))

    kinds = [seen.record.kind for seen in again.seen]
    before = again.seen[kinds.index("session") : kinds.index("epoch")]
    assert {seen.snapshot.forecast.seconds_left for seen in before} == {None}
    assert again.seen[kinds.index("epoch")].snapshot.forecast.seconds_left is not None


@pytest.mark.parametrize("budget", ["{hours: 0.01}", "{epochs: 40}", "{macs: 3.0e+10}"])
def test_a_budget_ends_a_study_before_its_trials_do(budget: str, tmp_path: Path) -> None:
    watched = watch(f"{SWEEP.format(seeds=1)}budget: {budget}\n", tmp_path, TimedExecutor(1))

    assert 2 <= watched.seen[-1].snapshot.outcomes["complete"] < 8
    assert max(missed(watched, after=2)) < 0.05


def test_the_best_so_far_is_the_one_that_the_study_would_name(tmp_path: Path) -> None:
    watched = watch(SEARCH, tmp_path, TimedExecutor(2))

    for seen in watched.seen:
        known = seen.snapshot.best
        assert known is None or known.outcome == "complete"
    final = watched.seen[-1].snapshot
    assert final.best is not None
    assert final.best.phase == "confirm"
    assert final.outcomes["complete"] + final.outcomes.get("repeated", 0) == 25


def test_replicates_packed_into_one_network_make_one_row(tmp_path: Path) -> None:
    watched = watch(SWEEP.format(seeds=3), tmp_path, TimedExecutor(2), pack=3)

    rows = [row for seen in watched.seen for row in seen.snapshot.rows if row.epoch == 4]

    assert {row.seeds for row in rows} == {(0, 1, 2)}
    assert {row.epochs for row in rows} == {10}
    # After five epochs of all seeds, or of the first only.
    assert all(0.5 + 0.03 < row.accuracy < 0.5 + 0.042 for row in rows)
    assert all(len(seen.snapshot.rows) <= 2 for seen in watched.seen)
