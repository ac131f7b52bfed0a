"""Studies whose trials are trained by two processes each."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import psutil
import pytest

from archsearch.application import deciding
from archsearch.application.running import run_study
from archsearch.execution import Devices, count_workers, machine
from archsearch.journal import Record, read_journal
from archsearch.study import parse_study
from archsearch.study.settings import ExecutionSettings
from tests.application.conftest import run_study_in

# 1e30 ends in NaN, and the pruner stops whatever is behind the best so far.
SEARCH = """
name: together
data: {name: digits, train_limit: 256}
architecture: {depth: 8, width: 4}
search: {training.learning_rate: [0.05, 0.02, 1.0e-3, 1.0e-5, 1.0e+30]}
trials: 5
sampler: grid
pruner: {name: percentile, percentile: 0.0, n_startup_trials: 1}
training: {epochs: 4, batch_size: 63, precision: '32'}
execution: {executor: EXECUTOR, workers: 1, devices_per_trial: DEVICES}
tracking: {enabled: false}
"""


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for module in (machine, deciding):
        monkeypatch.setattr(module, "count_cores", lambda: 8)


@pytest.mark.parametrize(
    ("devices", "workers"), [(Devices("cuda", ("0", "1", "2", "3", "4")), 2), (Devices("cpu"), 4)], ids=str
)
def test_workers_for_whom_there_are_no_devices_are_not_started(
    eight_cores: None, devices: Devices, workers: int
) -> None:
    execution = ExecutionSettings(devices_per_trial=2, workers=7)
    assert count_workers(execution, devices) == workers
    assert deciding.explain_workers(execution, devices, 1) == (
        f"Devices for {workers} of the 7 workers are there, at 2 a trial."
    )
    assert deciding.explain_workers(ExecutionSettings(devices_per_trial=2, workers=2), devices, 1) == ""


@pytest.mark.parametrize(
    ("settings", "threads", "workers"),
    [
        ({"devices_per_trial": 2}, 2, 4),
        ({"devices_per_trial": 3}, 4, 2),
        ({"devices_per_trial": 2, "workers": 1}, 8, 1),
        ({"devices_per_trial": 2, "workers": 2}, 4, 2),
        ({"devices_per_trial": 2, "executor": "inline"}, 8, 1),
        # never fewer than one a process
        ({"devices_per_trial": 64}, 64, 1),
    ],
)
def test_the_threads_of_a_trial_are_shared_by_its_processes_and_no_core_is_asked_for_twice(
    eight_cores: None, settings: dict[str, object], threads: int, workers: int
) -> None:
    execution = ExecutionSettings(**settings)
    assert deciding.list_thread_counts(execution, trainings=100, fitting=100) == [threads]
    assert count_workers(execution, Devices("cpu"), threads) == workers
    assert deciding.explain_workers(execution, Devices("cpu"), threads) == ""


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("executor", ["inline", "local"])
def test_trials_are_pruned_fail_and_complete_as_with_one_process(executor: str, tmp_path: Path) -> None:
    studies = []
    for devices in ("1", "2"):
        (tmp_path / devices).mkdir()
        text = SEARCH.replace("EXECUTOR", executor).replace("DEVICES", devices)
        studies.append(run_study_in(tmp_path / devices, text))
    alone, together = studies

    assert together.answer.code == 0, together.answer.err
    counts = together.answer.json["trials"]
    assert counts == alone.answer.json["trials"]
    assert set(counts) == {"complete", "pruned", "failed"}
    assert sum(counts.values()) == 5
    for number, trial in together.history().trials.items():
        twin = alone.history().trials[number]
        assert (trial.outcome, trial.training) == (twin.outcome, twin.training)
        for seed, replicate in trial.replicates.items():
            other = twin.replicates[seed]
            assert (replicate.outcome, replicate.attempts) == (other.outcome, 1)
            assert [epoch["val_loss"] for epoch in replicate.epochs] == pytest.approx(
                [epoch["val_loss"] for epoch in other.epochs], rel=1e-3
            )
            tested, expected = ({**test, "latency_ms": 0} for test in (replicate.test, other.test))
            assert tested == pytest.approx(expected, rel=0.02, abs=0.01)
    records = read_journal(together.run_folder.journal)
    ends = [record.fields for record in records if record.kind == "replicate"]
    assert len(ends) == len({(end["trial"], end["seed"]) for end in ends}) == 5


SWEEP = """
name: killed
data: {name: digits, train_limit: 256}
architecture: {width: 4}
sweep: {depth: [8, 14]}
seeds: 2
training: {epochs: 4, batch_size: 64, precision: '32'}
execution: {executor: inline, devices_per_trial: 2, checkpoint_every_s: 0}
tracking: {enabled: false}
"""


@pytest.mark.slow
def test_a_killed_rank_costs_nothing_but_time(tmp_path: Path) -> None:
    killed = []

    def kill_once(record: Record) -> None:
        if record.kind == "epoch" and record.fields["epoch"] == 2 and not killed:
            # the fork server's children are ranks
            killed.append(
                [p for p in psutil.Process().children(recursive=True) if p.ppid() != os.getpid()][-1]
            )
            killed[0].kill()

    study = parse_study(SWEEP, "study.yaml")
    disturbed = run_study(study, runs_folder=tmp_path / "disturbed", listen=kill_once)
    left = [p for p in psutil.Process().children(recursive=True) if p.ppid() != os.getpid()]
    quiet = run_study(study, runs_folder=tmp_path / "quiet")

    assert left == []
    assert disturbed.counts == {"complete": 2}
    attempts = Counter()
    for number, trial in disturbed.history.trials.items():
        for seed, replicate in trial.replicates.items():
            attempts[replicate.attempts] += 1
            twin = quiet.history.trials[number].replicates[seed]
            assert replicate.metrics["val_loss"] == twin.metrics["val_loss"]
            assert replicate.note.startswith("went on after epoch") == (replicate.attempts == 2)
            assert disturbed.folder.weights(number, seed).read_bytes() == (
                quiet.folder.weights(number, seed).read_bytes()
            )
    assert attempts == {1: 3, 2: 1}
    (lost,) = [r.fields for r in read_journal(disturbed.folder.journal) if r.fields.get("outcome") == "lost"]
    assert re.match(r"rank [01] of 2 died: killed by signal 9", lost["reason"])
    (compute,) = [r.fields for r in read_journal(disturbed.folder.journal) if r.kind == "compute"]
    assert compute["pack"] == 1
    assert compute["reason"].endswith("replicates one by one, each on 2 devices")
