"""`kill -9` of a running study's whole process group, then the same command again."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from archsearch.journal import Record, read_journal, replay
from tests.command_line import call, start
from tests.tracking.store_content import read_content

STUDY = """
name: killed
data: {name: digits, train_limit: 256}
architecture: {width: 4}
search:
  block: [plain, residual]
  depth: [8, 14]
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 8
seeds: 2
pruner: {name: median, n_startup_trials: 3}
training: {epochs: 3, batch_size: 32}
execution: {executor: local, workers: 2}
"""


def journal(place: Path) -> list[Record]:
    path = place / "runs" / "killed" / "journal.log"
    return read_journal(path) if path.exists() else []


def told(records: list[Record]) -> dict[int, dict[str, Any]]:
    return {record.fields["trial"]: record.fields for record in records if record.kind == "told"}


def run_and_kill_after(records: int, place: Path) -> bool:
    """Start the study and kill it so many records later; False where it ended before."""
    process, before = start("run", "killed.yaml", cwd=place), len(journal(place))
    try:
        while len(journal(place)) < before + records:
            if process.poll() is not None:
                return False
            time.sleep(0.005)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return True


def check_whole(place: Path, earlier: dict[int, dict[str, Any]]) -> None:
    records = journal(place)
    history = replay(records)
    searched = [trial for trial in history.trials.values() if trial.phase == "search"]
    confirmed = [trial for trial in history.trials.values() if trial.phase == "confirm"]
    described = [record.fields["trial"] for record in records if record.kind == "trial"]
    assert (len(searched), len(confirmed)) == (8, 1)
    assert described == list(range(9))
    assert all(trial.outcome in ("complete", "pruned", "repeated") for trial in history.trials.values())
    # What had been told stands there once, as it stood before.
    tellings = [record.fields["trial"] for record in records if record.kind == "told"]
    assert sorted(tellings) == described
    assert {number: told(records)[number] for number in earlier} == earlier
    runs = read_content(f"sqlite:///{place / 'mlflow.db'}", history.header["uid"])
    kinds = [name.split()[0] for name in runs]
    assert {kind: kinds.count(kind) for kind in kinds} == {"study": 1, "trial": 9, "replicate": 2}
    assert "RUNNING" not in {run["status"] for run in runs.values()}


def test_a_killed_study_goes_on_where_it_stood(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "killed.yaml").write_text(STUDY)
    assert run_and_kill_after(30, tmp_path)
    earlier = told(journal(tmp_path))
    assert 0 < len(earlier) < 8

    answer = call("run", "killed.yaml", "--json", cwd=tmp_path)

    assert answer.code == 0, answer.err
    assert answer.json["trials"]["complete"] >= 2
    check_whole(tmp_path, earlier)
