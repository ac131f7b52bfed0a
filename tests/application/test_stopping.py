"""Ctrl-C once, Ctrl-C twice, SIGTERM: what is finished, what is said, what is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from archsearch.application.stopping import Stopping
from archsearch.errors import Terminated
from archsearch.journal import Record, RunFolderLock, read_journal
from tests.command_line import call, start
from tests.search.conftest import Laboratory, TableExecutor
from tests.search.test_conductor import SWEEP

STUDY = """
name: stopped
data: {name: digits, train_limit: 256}
architecture: {width: 4}
sweep: {depth: [8, 14, 20]}
seeds: 2
training: {epochs: EPOCHS, batch_size: 16, precision: '32'}
execution: {EXECUTION}
tracking: {enabled: false}
"""


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path / "run")


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_first_ctrl_c_winds_down_and_the_second_stops(said: list[str]) -> None:
    with Stopping(said.append) as stopping, stopping.finishing():
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.winding_down
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert len(said) == 1
    assert "Press Ctrl-C again to stop now" in said[0]


def test_ctrl_c_stops_at_once_where_there_is_nothing_to_finish(said: list[str]) -> None:
    with Stopping(said.append), pytest.raises(KeyboardInterrupt) as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.type is KeyboardInterrupt
    assert said == []


def test_sigterm_always_stops(said: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Stopping(said.append) as stopping, stopping.finishing(), pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_winding_down_finishes_what_runs_and_starts_nothing(laboratory: Laboratory) -> None:
    asked: list[Record] = []

    def listen(record: Record) -> None:
        if record.kind == "epoch":
            asked.append(record)

    executor = TableExecutor(slots=2)
    conductor = laboratory.run(SWEEP, executor, listen=listen, winding_down=lambda: bool(asked))

    assert executor.trained == [(0, 0), (0, 1)]
    assert {r.outcome for r in conductor.trials[0].replicates.values()} == {"complete"}
    again = TableExecutor(slots=2)
    whole = laboratory.run(SWEEP, again)
    assert {trial.outcome for trial in whole.trials.values()} == {"complete"}
    assert not {(0, 0), (0, 1)} & set(again.trained)


def test_what_is_lost_while_winding_down_is_left_for_the_next_run(laboratory: Laboratory) -> None:
    executor = TableExecutor()
    executor.losses = 1
    conductor = laboratory.run(SWEEP, executor, winding_down=lambda: not executor.losses)
    assert executor.trained == [(0, 0)]
    assert conductor.trials[0].replicates[0].outcome == "lost"
    assert {t.outcome for t in laboratory.run(SWEEP).trials.values()} == {"complete"}


# With the command, as a process of its own.


def records(place: Path) -> list[Record]:
    path = place / "runs" / "stopped" / "journal.log"
    return read_journal(path) if path.exists() else []


def of_kind(place: Path, kind: str) -> list[dict[str, Any]]:
    return [record.fields for record in records(place) if record.kind == kind]


class Running:
    """A study under way, of which an epoch has been trained."""

    def __init__(self, place: Path, execution: str, epochs: int) -> None:
        self.place = place
        (place / "stopped.yaml").write_text(
            STUDY.replace("EXECUTION", execution).replace("EPOCHS", str(epochs))
        )
        self.process = start("run", "stopped.yaml", cwd=place)
        deadline = time.monotonic() + 120
        while not of_kind(place, "epoch"):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        self.began = time.monotonic()

    def signal(self, number: int) -> None:
        # to the group, as a terminal does
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def check_left(self, reason: str) -> None:
        """Nothing runs any more, the lock is free, the journal whole and the study goes on."""
        _, alive = psutil.wait_procs(self.family, timeout=5)
        assert alive == []
        with RunFolderLock(self.place / "runs" / "stopped"):
            pass
        assert records(self.place)[-1].kind == "interrupted"
        assert of_kind(self.place, "interrupted")[-1]["reason"] == reason


# Local workers meet the same signals in tests/faults.


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_ctrl_c_once_finishes_the_training_that_runs(tmp_path: Path) -> None:
    running = Running(tmp_path, "executor: inline", epochs=20)
    running.signal(signal.SIGINT)
    code, out, err = running.end()

    assert code == 130
    assert out.count("Press Ctrl-C again to stop now") == 1
    assert err.strip() == "archsearch: stopped. The same command goes on from here."
    started = [(r["trial"], r["seed"]) for r in of_kind(tmp_path, "started")]
    ended = [(r["trial"], r["seed"]) for r in of_kind(tmp_path, "replicate") if r["outcome"] == "complete"]
    assert sorted(started) == sorted(ended)
    assert 1 <= len(started) < 6
    running.check_left("stopped from the keyboard")
    answer = call("run", "stopped.yaml", "--json", cwd=tmp_path)
    assert answer.json["trials"] == {"complete": 3}
    assert len(of_kind(tmp_path, "started")) == 6


@pytest.mark.slow
def test_sigterm_stops_at_once(tmp_path: Path) -> None:
    running = Running(tmp_path, "executor: inline", epochs=5000)
    running.process.terminate()
    code, _, err = running.end()

    assert code == 143
    assert "Traceback" not in err
    assert time.monotonic() - running.began < 30
    running.check_left("terminated by SIGTERM")


@pytest.mark.slow
@pytest.mark.parametrize(
    "execution", ["executor: local, workers: 2", "executor: local, devices_per_trial: 2"]
)
def test_a_conductor_that_is_killed_takes_its_children_with_it(execution: str, tmp_path: Path) -> None:
    running = Running(tmp_path, execution, epochs=5000)
    assert len(running.family) >= 3
    running.process.kill()
    running.end()
    _, alive = psutil.wait_procs(running.family, timeout=10)
    assert alive == []
