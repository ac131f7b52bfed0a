"""Several processes that train one job: one outside, whatever happens inside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archsearch.execution import LocalExecutor
from archsearch.execution.together import TrainTogether
from archsearch.study.settings import DataSettings
from archsearch.training.values import EpochReport, Result
from tests.execution import shared_trainings
from tests.execution.test_executors import drain, make_job, make_pack, results

pytestmark = pytest.mark.usefixtures("own_fork_server")

ROOT = Path(__file__).parents[2]
# No rank may need longer to notice that another is gone.
PATIENCE_S = 20


@pytest.fixture
def together():
    """Makes trainings whose ranks end with the test."""
    made = []

    def make(train, ranks=2):
        made.append(TrainTogether(ranks, train))
        return made[-1]

    yield make
    for training in made:
        training.close()


def run(training, work, stop_after=None):
    """Train to the end, or ask to stop after so many reports; returns all that was yielded and the result."""
    events = []
    generator = training(work)
    try:
        events.append(next(generator))
        while True:
            events.append(generator.send(len(events) == stop_after))
    except StopIteration as end:
        return events, end.value


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_gone(pids):
    deadline = time.monotonic() + 5
    while not all(is_gone(int(pid)) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [pid for pid in pids if not is_gone(int(pid))]


def test_reports_and_result_are_those_of_rank_0_once(together):
    reports, result = run(together(shared_trainings.meet), make_job(trial=7, seed=2))

    assert [report.epoch for report in reports] == [0, 1, 2]
    assert result == Result(7, 2, "complete", "", 3, {"rank": 0.0})
    pids = {reports[0].metrics["pid 0"], reports[0].metrics["pid 1"]}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_ranks_stay_for_the_next_job_and_share_its_threads(together):
    training = together(shared_trainings.meet)
    first, _ = run(training, make_job(0, threads=5))
    second, _ = run(training, make_job(1, threads=1))

    assert first[0].metrics["pid 1"] == second[0].metrics["pid 1"]
    assert [reports[0].metrics["threads"] for reports in (first, second)] == [2, 1]


def test_a_stop_reaches_all_ranks_and_the_next_job_is_not_stopped(together):
    training = together(shared_trainings.meet)
    reports, stopped = run(training, make_job(epochs=1000), stop_after=2)
    _, after = run(training, make_job(1))

    assert len(reports) == 2
    assert (stopped.outcome, stopped.reason, stopped.epochs) == ("stopped", "rank 0", 2)
    assert after.outcome == "complete"


def test_a_pack_is_trained_one_by_one(together):
    events, last = run(together(shared_trainings.meet), make_pack(4, 5, epochs=1))

    assert [type(event) for event in events] == [EpochReport, Result, EpochReport]
    assert [event.seed for event in (*events, last)] == [4, 4, 5, 5]


def test_an_exception_of_one_rank_fails_the_job_and_ends_them_all(together):
    training = together(shared_trainings.misbehave)
    began = time.monotonic()
    _, failed = run(training, make_job(seed=1))
    assert time.monotonic() - began < PATIENCE_S
    _, after = run(training, make_job(seed=0))

    assert (failed.outcome, failed.epochs) == ("failed", 1)
    assert failed.reason.startswith("ValueError: only here\nTraceback")
    assert after.outcome == "complete"


def test_an_exception_of_all_ranks_is_one_failure_and_they_stay(together):
    training = together(shared_trainings.misbehave)
    _, before = run(training, make_job(seed=0))
    _, failed = run(training, make_job(seed=4))
    _, after = run(training, make_job(seed=0))

    assert failed.reason.startswith("ValueError: everywhere\nTraceback")
    assert before.metrics == after.metrics


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (2, "rank 1 of 2 died: killed by signal 9"),
        (3, "rank 1 of 2 died: exit code 3\nout of patience"),
        # where an error of another, which follows from it, is heard of first
        (5, "rank 1 of 2 died: killed by signal 9"),
    ],
)
def test_a_dead_rank_loses_the_job_which_can_be_tried_again(together, seed, reason):
    training = together(shared_trainings.misbehave)
    began = time.monotonic()
    _, lost = run(training, make_job(seed=seed))
    assert time.monotonic() - began < PATIENCE_S
    _, again = run(training, make_job(seed=0))

    assert lost == Result(0, seed, "lost", reason, 1, {})
    assert again.outcome == "complete"


def test_data_that_cannot_be_loaded_are_a_failure_in_their_own_words(together):
    from dataclasses import replace

    job = replace(make_job(), data=DataSettings(name="arrays", root="/nowhere.npz"))
    events, failed = run(together(shared_trainings.meet), job)

    assert events == []
    assert failed.outcome == "failed"
    assert failed.reason.startswith("data.root: must name an .npz file, got '/nowhere.npz'.")


def test_a_training_that_is_given_up_leaves_no_rank(together):
    generator = together(shared_trainings.wait_for_ever)(make_job())
    pids = next(generator).metrics.values()
    generator.close()

    assert wait_until_gone(pids) == []


def test_two_groups_at_once_do_not_meet(together):
    first, second = (together(shared_trainings.meet)(make_job(trial)) for trial in range(2))
    seen = [next(generator).metrics for generator in (first, second, first, second)]

    assert seen[0] == seen[2]
    assert seen[1] == seen[3]
    assert not set(seen[0].items()) & {item for item in seen[1].items() if item[0] != "threads"}


@pytest.mark.slow
def test_workers_have_ranks_that_end_with_them():
    with LocalExecutor(TrainTogether(2, shared_trainings.meet), 1) as executor:
        executor.submit(make_job(0, epochs=2))
        first = drain(executor, 60)
        executor.submit(make_job(1, epochs=1000, pause_s=0.01))
        ranks = [executor.wait(60).metrics[f"pid {rank}"] for rank in range(2)]
        os.kill(executor.worker_pids[0], signal.SIGKILL)
        lost = results(drain(executor, 60))[(1, 0)]
        gone = wait_until_gone(ranks)
        executor.submit(make_job(2, epochs=1000, pause_s=0.01))
        ranks = [executor.wait(60).metrics[f"pid {rank}"] for rank in range(2)]
        executor.stop(2, 0)
        stopped = results(drain(executor, 60))[(2, 0)]

    assert results(first)[(0, 0)].outcome == "complete"
    assert (lost.outcome, lost.reason) == ("lost", "worker died: killed by signal 9")
    assert gone == []
    assert stopped.outcome == "stopped"
    assert wait_until_gone(ranks) == []


OWNER = """
import sys
from archsearch.execution.together import TrainTogether
from tests.execution import shared_trainings
from tests.execution.test_executors import make_job

# No guard of the main module: ranks must not run this script again.
print("script", flush=True)
training = TrainTogether(2, shared_trainings.wait_for_ever)(make_job())
print(*map(int, next(training).metrics.values()), flush=True)
next(training)
"""


@pytest.mark.slow
def test_no_rank_survives_an_owner_that_is_killed_while_they_wait_for_each_other(tmp_path):
    (tmp_path / "owner.py").write_text(OWNER)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "owner.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as owner:
        assert owner.stdout.readline() == "script\n"
        pids = owner.stdout.readline().split()
        family = psutil.Process(owner.pid).children(recursive=True)
        assert len(pids) == 2
        time.sleep(0.5)
        owner.send_signal(signal.SIGKILL)
        out, err = owner.communicate()
        _, alive = psutil.wait_procs(family, timeout=5)

    assert wait_until_gone(pids) == []
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert (out, err) == ("", "")
