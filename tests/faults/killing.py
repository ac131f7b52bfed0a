"""`kill -9` of workers and conductors at random moments."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from archsearch.journal import Record
from tests.faults.fault import Fault, Finding
from tests.faults.workshop import Study, Workshop
from tests.starting import Command

_SEED = 20151210
# From the start of a command to its kill: from before it has read its study to some trials later.
_LONGEST_LIFE_S = 2.0
_LONGEST_WORK_S = 0.5
_RATES, _KILLS_A_SWEEP = 14, 5


def searching(times: int) -> str:
    """A search whose every proposal depends on what ended before: inline, nothing left to chance.

    Args:
        times: How often it is to be disturbed: it is as long as that takes.
    """
    return f"""
name: faulty
data: {{name: digits, train_limit: 128}}
architecture: {{layout: mlp, width: 8}}
search:
  block: [plain, residual]
  depth: [3, 5]
  training.learning_rate: {{low: 0.01, high: 0.5, log: true}}
trials: {8 + 20 * times}
seeds: 1
pruner: {{name: median, n_startup_trials: 3}}
training: {{epochs: 4, batch_size: 64, precision: '32'}}
execution: {{executor: inline, checkpoint_every_s: 0}}
"""


def sweeping() -> str:
    """A sweep of two depths and some learning rates, whose trainings do not depend on each other."""
    values = ", ".join(str(round(0.01 * 1.05**number, 6)) for number in range(_RATES))
    return f"""
name: faulty
data: {{name: digits, train_limit: 128}}
architecture: {{layout: mlp, width: 8}}
sweep:
  depth: [3, 5]
  training.learning_rate: [{values}]
training: {{epochs: 8, batch_size: 64, precision: '32'}}
execution: {{executor: local, workers: 2, retries: 100, checkpoint_every_s: 0}}
"""


def kill_conductor(shop: Workshop, place: Path, times: int) -> Finding:
    """Kill the conductor alone, again and again, in one study; it trains by itself."""
    study = shop.begin_with_mlflow(place, searching(times))
    generator, starts = random.Random(_SEED), list[float]()
    for number in range(times):
        command = shop.starter.start("run", study.file, cwd=place)
        starts.append(command.started)
        # Every other time not before it trains: else on a busy machine none would come that far.
        if number % 2:
            _wait_for_news(study, command)
        _kill_after(command, generator.uniform(0, _LONGEST_LIFE_S / (1 + number % 2)))
    starts.append(shop.run(study).started)
    lost = shop.find_lost(study, f"sqlite:///{place / 'mlflow.db'}")
    return Finding(times, lost, tuple(_until_work_went_on(study, starts[1:])))


def kill_workers(shop: Workshop, place: Path, times: int) -> Finding:
    """Kill one of two workers, again and again, in as many studies as that takes."""
    generator, killed, lost, recoveries = random.Random(_SEED), 0, list[str](), list[float]()
    for number in count():
        if killed >= times:
            return Finding(killed, tuple(lost), tuple(recoveries))
        study = shop.begin_with_mlflow(place / str(number), sweeping())
        command, heard = None, 0
        # Several killed before they have come up end a run, as they should: the same command goes on.
        while command is None or "could not be started" in command.said():
            command = shop.starter.start("run", study.file, cwd=study.place, cores=2)
            while command.code is None:
                time.sleep(generator.uniform(0.05, _LONGEST_WORK_S))
                if killed < times and (epochs := len(study.records("epoch"))) > heard:
                    killed, heard = killed + _kill_a_worker(command, generator), epochs
        assert command.code == 0, command.said()
        lost += shop.find_lost(study, f"sqlite:///{study.place / 'mlflow.db'}", cores=2)
        recoveries += _until_trained_again(study)
    raise AssertionError("unreachable")


def kill_both(shop: Workshop, place: Path, times: int) -> Finding:
    """Kill a worker and, a moment later, the conductor, again and again, in as many studies as that takes."""
    generator, killed, lost, recoveries = random.Random(_SEED), 0, list[str](), list[float]()
    for number in count():
        if killed >= times:
            return Finding(killed, tuple(lost), tuple(recoveries))
        study, starts = shop.begin_with_mlflow(place / str(number), sweeping()), list[float]()
        for _ in range(min(_KILLS_A_SWEEP, times - killed)):
            command = shop.starter.start("run", study.file, cwd=study.place, cores=2)
            starts.append(command.started)
            _wait_for_news(study, command)
            killed += _kill_a_worker(command, generator)
            _kill_after(command, generator.uniform(0, _LONGEST_WORK_S))
        starts.append(shop.run(study, cores=2).started)
        lost += shop.find_lost(study, f"sqlite:///{study.place / 'mlflow.db'}", cores=2)
        recoveries += _until_work_went_on(study, starts[1:])
    raise AssertionError("unreachable")


def _wait_for_news(study: Study, command: Command) -> None:
    known, deadline = len(study.records("epoch")), time.monotonic() + 60
    while len(study.records("epoch")) == known and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.01)


def _kill_after(command: Command, delay_s: float) -> None:
    time.sleep(delay_s)
    command.send(signal.SIGKILL)
    assert command.wait() in (-signal.SIGKILL, 0), command.said()


def _kill_a_worker(command: Command, generator: random.Random) -> bool:
    """Kill a worker of a command; False where it has none yet, or none any more."""
    workers = list_workers(command)
    if not workers:
        return False
    with suppress(ProcessLookupError):
        os.kill(generator.choice(workers), signal.SIGKILL)
        return True
    return False


def list_workers(command: Command) -> list[int]:
    """Process ids of workers: they are forked from a server that the conductor has started."""
    with suppress(psutil.Error):
        children = psutil.Process(command.pid).children()
        return [worker.pid for server in children for worker in server.children()]
    return []


def _until_work_went_on(study: Study, starts: list[float]) -> Iterator[float]:
    """From each new start until the first news of a training, where the next kill did not come before."""
    times = [record.time for record in study.records() if record.kind in ("epoch", "replicate", "told")]
    for start, next_start in zip(starts, [*starts[1:], float("inf")], strict=True):
        if (first := min((time for time in times if time > start), default=float("inf"))) < next_start:
            yield first - start


def _until_trained_again(study: Study) -> Iterator[float]:
    """From the loss of each replicate until its next news."""
    records = study.records()
    for index, record in enumerate(records):
        if record.kind == "replicate" and record.fields["outcome"] == "lost":
            later = (later for later in records[index + 1 :] if later.kind in ("epoch", "replicate"))
            yield next(news.time - record.time for news in later if _of(news) == _of(record))


def _of(record: Record) -> tuple[int, int]:
    return record.fields["trial"], record.fields["seed"]


FAULTS = (
    Fault(
        "worker killed",
        "SIGKILL to one of two workers, at a random moment of a sweep",
        "the lost training reports again",
        kill_workers,
        full=100,
        counted="kills",
    ),
    Fault(
        "conductor killed",
        "SIGKILL to the conductor, at a random moment from its start on, all in one search",
        "from the new start to the first news of a training",
        kill_conductor,
        full=50,
        counted="kills, one study",
    ),
    Fault(
        "both killed",
        "SIGKILL to a worker and, within half a second, to the conductor, five times in a sweep",
        "from the new start to the first news of a training",
        kill_both,
        full=50,
        counted="pairs of kills",
    ),
)
