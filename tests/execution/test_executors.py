"""What every executor keeps, and what worker processes are for."""

import os
import signal
import sys
import time

import pytest

from archsearch.errors import ExecutionError
from archsearch.execution import InlineExecutor, LocalExecutor, local
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.values import Compute, EpochReport, Job, Pack, Result
from tests.execution import trainings

pytestmark = pytest.mark.slow


def make_job(trial=0, seed=0, *, epochs=3, pause_s=0.0, threads=1):
    return Job(
        trial=trial,
        seed=seed,
        architecture=None,
        training=TrainingSettings(epochs=epochs),
        data=DataSettings(noise=pause_s),
        compute=Compute(threads=threads),
    )


def make_pack(*seeds, trial=0, **settings):
    return Pack(tuple(make_job(trial, seed, **settings) for seed in seeds))


def epochs_of(events, replicate):
    return [e.epoch for e in events if isinstance(e, EpochReport) and e.replicate == replicate]


def drain(executor, timeout_s=30):
    events = []
    while (event := executor.wait(timeout_s)) is not None:
        events.append(event)
    return events


def run_one(executor):
    executor.submit(make_job())
    return drain(executor)


def results(events):
    return {(e.trial, e.seed): e for e in events if isinstance(e, Result)}


EXECUTORS = {
    "inline": InlineExecutor,
    "one worker": lambda train: LocalExecutor(train, 1),
    "two workers": lambda train: LocalExecutor(train, 2),
    "spawned workers": lambda train: LocalExecutor(train, 2, start_method="spawn"),
}


@pytest.fixture(
    params=["inline", "one worker", "two workers", pytest.param("spawned workers", marks=pytest.mark.slow)]
)
def build(request):
    return EXECUTORS[request.param]


class TestEveryExecutor:
    def test_reports_each_epoch_and_then_the_result(self, build):
        with build(trainings.count) as executor:
            executor.submit(make_job(trial=7, seed=2))
            events = drain(executor)

        assert [event.epoch for event in events[:-1]] == [0, 1, 2]
        assert [event.metrics["val_loss"] for event in events[:-1]] == [1 / 3, 1 / 4, 1 / 5]
        assert events[-1] == Result(7, 2, "complete", "", 3, {"val_error": 0.5})

    def test_gives_every_job_one_result_whatever_the_order(self, build):
        jobs = [make_job(trial, seed) for trial in range(4) for seed in range(2)]
        with build(trainings.count) as executor:
            for job in reversed(jobs):
                executor.submit(job)
            events = drain(executor)

        ends = [(e.trial, e.seed) for e in events if isinstance(e, Result)]
        assert sorted(ends) == [(job.trial, job.seed) for job in jobs]
        for job in jobs:
            epochs = [
                e.epoch
                for e in events
                if isinstance(e, EpochReport) and (e.trial, e.seed) == (job.trial, job.seed)
            ]
            assert epochs == [0, 1, 2]

    def test_stops_what_is_under_way_and_what_waits(self, build):
        with build(trainings.count) as executor:
            for trial in range(4):
                executor.submit(make_job(trial, epochs=1000, pause_s=0.01))
            first = executor.wait(30)
            for trial in range(4):
                executor.stop(trial, 0)
            ends = results(drain(executor))

        assert isinstance(first, EpochReport)
        assert {end.outcome for end in ends.values()} == {"stopped"}
        assert len(ends) == 4
        assert ends[(3, 0)] == Result(3, 0, "stopped", "stopped before it began", 0, {})

    def test_a_stop_of_an_ended_job_does_not_stop_its_next_attempt(self, build):
        with build(trainings.count) as executor:
            executor.submit(make_job())
            drain(executor)
            executor.stop(0, 0)
            executor.submit(make_job())
            assert results(drain(executor))[(0, 0)].outcome == "complete"

    def test_an_exception_is_a_result_with_its_traceback(self, build):
        with build(trainings.misbehave) as executor:
            executor.submit(make_job(seed=1))
            executor.submit(make_job(seed=5))
            executor.submit(make_job(seed=0))
            ends = results(drain(executor))

        assert (ends[(0, 1)].outcome, ends[(0, 1)].epochs) == ("failed", 1)
        assert ends[(0, 1)].reason.startswith("ValueError: a block of a plugin is wrong\nTraceback")
        assert "in misbehave" in ends[(0, 1)].reason
        assert ends[(0, 5)].reason.startswith("SystemExit: I leave")
        assert ends[(0, 0)].outcome == "complete"

    def test_waiting_for_nothing_returns_at_once(self, build):
        with build(trainings.count) as executor:
            assert executor.wait(None) is None

    def test_every_replicate_of_a_pack_reports_and_ends_for_itself(self, build):
        with build(trainings.count) as executor:
            executor.submit(make_pack(1, 2, 3))
            executor.submit(make_job(1))
            events = drain(executor)

        ends = results(events)
        assert sorted(ends) == [(0, 1), (0, 2), (0, 3), (1, 0)]
        assert {end.outcome for end in ends.values()} == {"complete"}
        assert len([event for event in events if isinstance(event, Result)]) == 4
        for replicate in ends:
            assert epochs_of(events, replicate) == [0, 1, 2]

    def test_one_replicate_of_a_pack_stops_and_the_others_go_on(self, build):
        with build(trainings.count) as executor:
            executor.submit(make_pack(1, 2, 3, epochs=20, pause_s=0.01))
            first = executor.wait(30)
            executor.stop(0, 2)
            events = [first, *drain(executor)]

        ends = results(events)
        assert [ends[0, seed].outcome for seed in (1, 2, 3)] == ["complete", "stopped", "complete"]
        assert ends[0, 2].epochs < 20
        assert epochs_of(events, (0, 2)) == list(range(ends[0, 2].epochs))
        assert epochs_of(events, (0, 3)) == list(range(20))

    def test_a_stop_takes_a_replicate_out_of_a_pack_that_waits(self, build):
        with build(trainings.count) as executor:
            for trial in range(3):
                executor.submit(make_pack(0, 1, trial=trial, epochs=10, pause_s=0.01))
            executor.stop(2, 1)
            ends = results(drain(executor))

        assert ends.pop((2, 1)) == Result(2, 1, "stopped", "stopped before it began", 0, {})
        assert len(ends) == 5
        assert {end.outcome for end in ends.values()} == {"complete"}

    def test_an_exception_fails_what_is_under_way_of_a_pack(self, build):
        with build(trainings.misbehave) as executor:
            executor.submit(make_pack(0, 1, epochs=1))
            ends = results(drain(executor))
            executor.submit(make_job(5))
            again = results(drain(executor))

        assert {end.outcome for end in ends.values()} == {"failed"}
        assert [end.epochs for end in ends.values()] == [1, 1]
        assert again[(5, 0)].outcome == "complete"

    def test_leaving_in_the_middle_is_quick(self, build):
        with build(trainings.count) as executor:
            executor.submit(make_job(epochs=1000, pause_s=0.01))
            executor.wait(30)
            began = time.monotonic()
        assert time.monotonic() - began < 2


def test_two_workers_share_the_jobs():
    with LocalExecutor(trainings.count, 2) as executor:
        assert executor.slots == 2
        for trial in range(10):
            executor.submit(make_job(trial, pause_s=0.02))
        events = drain(executor)
        pids = {event.metrics["pid"] for event in events if isinstance(event, EpochReport)}

    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_wait_ends_after_its_timeout():
    with LocalExecutor(trainings.count, 1) as executor:
        executor.submit(make_job(pause_s=5))
        began = time.monotonic()
        assert executor.wait(0.2) is None
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (2, "worker died: exit code 3"),
        (3, "worker died: killed by signal 11"),
        (4, "worker died: killed by signal 6\nout of patience"),
    ],
)
def test_a_dead_worker_loses_its_job_alone_and_is_replaced(seed, reason):
    with LocalExecutor(trainings.misbehave, 2) as executor:
        for trial in range(3):
            executor.submit(make_job(trial, seed=0, pause_s=0.02))
        executor.submit(make_job(9, seed=seed))
        ends = results(drain(executor))
        pids = executor.worker_pids

        assert ends.pop((9, seed)) == Result(9, seed, "lost", reason, 1, {})
        assert [end.outcome for end in ends.values()] == ["complete"] * 3
        assert len(set(pids)) == 2


def test_a_dead_worker_loses_every_replicate_of_its_pack_that_had_not_ended():
    with LocalExecutor(trainings.count, 1) as executor:
        executor.submit(make_pack(1, 2, 3, epochs=1000, pause_s=0.01))
        events = [executor.wait(30)]
        executor.stop(0, 2)
        while not isinstance(events[-1], Result):
            events.append(executor.wait(30))
        os.kill(executor.worker_pids[0], signal.SIGKILL)
        events += drain(executor)
        executor.submit(make_pack(1, 3))
        again = results(drain(executor))

    ends = results(events)
    assert [ends[0, seed].outcome for seed in (1, 2, 3)] == ["lost", "stopped", "lost"]
    for seed in (1, 3):
        assert ends[0, seed].reason == "worker died: killed by signal 9"
        assert ends[0, seed].epochs == len(epochs_of(events, (0, seed)))
        assert again[0, seed].outcome == "complete"


def test_a_killed_worker_loses_its_job_alone():
    with LocalExecutor(trainings.count, 2) as executor:
        executor.submit(make_job(0, epochs=1000, pause_s=0.01))
        executor.submit(make_job(1, epochs=60, pause_s=0.01))
        while not (isinstance(event := executor.wait(30), EpochReport) and event.trial == 0):
            pass
        os.kill(int(event.metrics["pid"]), signal.SIGKILL)
        ends = results(drain(executor))
        executor.submit(make_job(0))
        again = results(drain(executor))

    assert (ends[(0, 0)].outcome, ends[(0, 0)].reason) == ("lost", "worker died: killed by signal 9")
    assert ends[(0, 0)].epochs >= 1
    assert ends[(1, 0)].outcome == "complete"
    assert again[(0, 0)].outcome == "complete"


def test_a_stop_that_crosses_a_result_does_not_stop_the_next_attempt():
    with LocalExecutor(trainings.count, 1) as executor:
        run_one(executor)
        executor.submit(make_job())
        # The worker is done with it, and nobody here has heard of that.
        time.sleep(0.5)
        executor.stop(0, 0)
        drain(executor)
        assert results(run_one(executor))[(0, 0)].outcome == "complete"


def test_ctrl_c_is_not_for_workers():
    with LocalExecutor(trainings.count, 1) as executor:
        executor.submit(make_job(epochs=20, pause_s=0.01))
        executor.wait(30)
        os.kill(executor.worker_pids[0], signal.SIGINT)
        assert results(drain(executor))[(0, 0)].outcome == "complete"


def test_workers_that_never_come_up_are_an_error(tmp_path):
    (tmp_path / "unloadable.py").write_text(
        "import multiprocessing\n"
        "if multiprocessing.current_process().name != 'MainProcess': raise RuntimeError('not here')\n"
        "def train(job): yield\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        from unloadable import train

        with (
            LocalExecutor(train, 1, start_method="spawn") as executor,
            pytest.raises(
                ExecutionError, match="3 workers in a row could not be started: worker died: exit code 1"
            ),
        ):
            run_one(executor)
    finally:
        sys.path.remove(str(tmp_path))


def test_workers_spoil_no_terminal_and_do_not_choke_on_chatter(capfd):
    with LocalExecutor(trainings.chatter, 2) as executor:
        executor.submit(make_job(0))
        executor.submit(make_job(1))
        ends = results(drain(executor))

    assert {end.outcome for end in ends.values()} == {"complete"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_threads_follow_the_job_and_devices_the_worker(start_method):
    with LocalExecutor(
        trainings.threads, 2, visible_devices=("5", "7"), start_method=start_method
    ) as executor:
        executor.submit(make_job(0, threads=1))
        executor.submit(make_job(1, threads=2))
        events = [event for event in drain(executor) if isinstance(event, EpochReport)]

    by_trial = {event.trial: event.metrics for event in events}
    others = {"omp": 1, "interop": 1, "blas": 1}
    assert by_trial[0] == {"threads": 1, "device": 5} | others
    assert by_trial[1] == {"threads": 2, "device": 7} | others


@pytest.mark.parametrize(
    ("workers", "devices", "sharing"), [(2, ("0", "1"), 1), (5, ("0", "1"), 3), (3, (), 1)]
)
def test_workers_know_how_many_share_their_device(monkeypatch, workers, devices, sharing):
    told = []
    monkeypatch.setattr(local, "WorkerHandle", lambda *_, sharing, limits: told.append(sharing))
    with LocalExecutor(trainings.count, workers, visible_devices=devices) as executor:
        executor._start_worker(None)

    assert told == [sharing]
