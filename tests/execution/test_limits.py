"""What exceeds a limit is ended, wherever it runs, and nothing beside it."""

import re
import time

import pytest

from archsearch.execution import InlineExecutor, LocalExecutor
from archsearch.execution.limits import Limits, Overdue, Stopwatch
from archsearch.training.values import EpochReport, Result
from tests.execution import trainings
from tests.execution.test_executors import drain, make_job, make_pack, results


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("archsearch.execution.limits.time", clock)
    return clock


def test_a_silent_worker_is_lost_and_a_slow_training_fails(clock):
    watch = Stopwatch(Limits(trial_s=100, epoch_s=30))
    watch.start(1)
    clock.now += 29
    assert watch.overdue() is None
    assert watch.left_s() == pytest.approx(1)
    watch.hear()
    clock.now += 29
    assert watch.overdue() is None
    clock.now += 2
    assert watch.overdue() == Overdue("lost", "no epoch ended within 30 s (execution.epoch_limit_s)")
    watch.hear()
    clock.now += 41
    assert watch.overdue() == Overdue("failed", "took longer than 100 s (execution.trial_limit_s)")


def test_a_pack_has_as_many_times_the_limit(clock):
    watch = Stopwatch(Limits(epoch_s=30))
    watch.start(3)
    clock.now += 89
    assert watch.overdue() is None
    clock.now += 2
    assert watch.overdue().reason == "no epoch ended within 90 s (execution.epoch_limit_s)"


def test_a_worker_that_comes_up_is_given_time(clock):
    watch = Stopwatch(Limits(epoch_s=1))
    watch.start(1, ready=False)
    clock.now += 100
    assert watch.overdue() is None
    clock.now += 22
    assert watch.overdue().outcome == "lost"


def test_without_limits_nothing_is_ever_overdue(clock):
    watch = Stopwatch(Limits())
    clock.now += 1e9
    assert (watch.overdue(), watch.left_s()) == (None, None)


def test_a_worker_that_hangs_is_killed_and_replaced():
    with LocalExecutor(trainings.linger, 1, limits=Limits(epoch_s=0.4)) as executor:
        executor.submit(make_job())
        assert isinstance(executor.wait(30), EpochReport)
        (before,) = executor.worker_pids
        (end,) = drain(executor)
        (after,) = executor.worker_pids
    reason = "no epoch ended within 0.4 s (execution.epoch_limit_s); its worker was killed"
    assert end == Result(0, 0, "lost", reason, 1, {})
    assert after != before


def test_a_worker_that_cannot_even_hang_up_is_killed():
    with LocalExecutor(trainings.hold_everything, 1, limits=Limits(epoch_s=0.4)) as executor:
        executor.submit(make_job())
        began = time.monotonic()
        ends = results(drain(executor))
    assert ends[0, 0].outcome == "lost"
    assert time.monotonic() - began < 20


def test_others_are_left_alone_and_do_not_hide_it():
    with LocalExecutor(trainings.hang_or_count, 2, limits=Limits(epoch_s=0.5)) as executor:
        executor.submit(make_job(0, seed=1))
        executor.submit(make_job(1, seed=2, epochs=200, pause_s=0.01))
        events = drain(executor)
    ends = results(events)
    assert (ends[0, 1].outcome, ends[1, 2].outcome) == ("lost", "complete")
    assert list(ends) == [(0, 1), (1, 2)]


def test_a_training_that_takes_too_long_fails():
    with LocalExecutor(trainings.count, 1, limits=Limits(trial_s=0.3)) as executor:
        executor.submit(make_job(epochs=10_000, pause_s=0.01))
        executor.submit(make_job(1))
        ends = results(drain(executor))
    assert ends[0, 0].outcome == "failed"
    assert ends[0, 0].reason == "took longer than 0.3 s (execution.trial_limit_s); its worker was killed"
    assert 1 < ends[0, 0].epochs < 100
    assert ends[1, 0].outcome == "complete"


@pytest.mark.parametrize(
    ("limits", "outcome", "reason"),
    [
        (Limits(trial_s=0.1), "failed", r"took longer than 0\.2 s"),
        (Limits(epoch_s=0.01), "lost", r"no epoch ended within 0\.02 s"),
    ],
)
def test_inline_looks_when_an_epoch_has_ended(limits, outcome, reason):
    with InlineExecutor(trainings.count, limits=limits) as executor:
        executor.submit(make_pack(0, 1, epochs=1000, pause_s=0.03))
        executor.submit(make_job(1, epochs=1))
        events = drain(executor)
    ends = results(events)
    assert {ends[0, seed].outcome for seed in (0, 1)} == {outcome}
    assert all(re.match(reason, ends[0, seed].reason) for seed in (0, 1))
    assert "killed" not in ends[0, 0].reason
    assert isinstance(events[0], EpochReport)
    assert (1, 0) in ends
