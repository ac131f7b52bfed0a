"""What a trial costs the conductor when a study has grown: at 10, 100, 1,000 and 10,000 trials.

    python -m benchmarks.growth --output benchmarks/results/growth.json
    python -m benchmarks.growth --sizes 1000 --rows tpe optuna_tpe --without-mlflow

Protocol. A study's journal is filled with N trials of three epochs, proposed at random and answered at once
from a function (no network is trained). For each row a fresh process then starts the conductor on a copy of
it and makes further trials, which are timed one by one: the processor time of that process from the end of
one trial to the end of the next (proposing, looking up the network's cost, seven journal records, each
fsynced, deciding what is next); every network of the space has been counted before. Optuna's share is the
time inside ask and tell. Rows: `random`, `tpe`, `tpe_univariate`, and `optuna_tpe`, which is TPE by Optuna's
own code alone, with nothing kept between two proposals. Given are median, least and largest over the timed
trials; the seconds to start anew from the journal; and the memory that this process holds more than before
it read the journal, in all and per trial.

MLflow (SQLite, its mirror process): the seconds in which a mirror that starts on the grown journal brings
MLflow up to it, less those of one that finds nothing to write, by the number of new trials; and, when a
mirror runs beside a conductor that never waits for a training, the trials that had no run in MLflow when the
study was over, and the seconds from then until MLflow held everything. Imports are outside the clock of the
conductor.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import psutil

from archsearch.journal import Journal, Record, RunFolder
from archsearch.search import cell_search, samplers
from archsearch.search.candidates import examine
from archsearch.search.cell_search import CellSearch
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.study import parse_study
from archsearch.training import Compute
from benchmarks.lag import bring_up, count_ended, run_beside
from benchmarks.machine import summarize, write_result
from benchmarks.replay import ReplayExecutor, invent_course

SIZES = (10, 100, 1_000, 10_000)
ROWS = {
    "random": "random",
    "tpe": "tpe",
    "tpe_univariate": "{name: tpe, multivariate: false}",
    "optuna_tpe": "tpe",
}
TIMED = 30

STUDY = """
name: growth
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  width: {{low: 4, high: 8}}
  shortcut: {{choice: [pad, projection], when: {{block: residual}}}}
  training.learning_rate: {{low: 0.01, high: 0.5, log: true}}
  training.weight_decay: {{low: 1e-5, high: 1e-2, log: true}}
trials: {trials}
training: {{epochs: 3}}
sampler: {sampler}
"""


class _Clock:
    """Processor time of each trial, and Optuna's part of it."""

    def __init__(self) -> None:
        self.trials_s: list[float] = []
        self.optuna_s: list[float] = []
        self._since = time.process_time()
        self._optuna = 0.0

    def start(self) -> None:
        """Count from now."""
        self._since = time.process_time()

    def listen(self, record: Record) -> None:
        if record.kind == "told":
            now = time.process_time()
            self.trials_s.append(now - self._since)
            self.optuna_s.append(self._optuna)
            self._since, self._optuna = now, 0.0

    def watch(self, name: str) -> None:
        """Wrap a method of `CellSearch` so that its time counts as Optuna's."""
        original = getattr(CellSearch, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            before = time.process_time()
            try:
                return original(*args, **kwargs)
            finally:
                self._optuna += time.process_time() - before

        setattr(CellSearch, name, timed)


def grow(folder: RunFolder, trials: int, sampler: str = "random", clock: _Clock | None = None) -> float:
    """Bring a study to `trials` trials; returns the seconds that it took to start from its journal."""
    clock = clock or _Clock()
    study = parse_study(STUDY.format(trials=trials, sampler=sampler), "growth.yaml")
    before = time.perf_counter()
    with Journal.open(folder.journal) as journal:
        if not journal.records:
            header = {"uid": study.name, "name": study.name, "train_images": 1000}
            journal.append("study", **header, objectives=dict(study.objectives))
        journal.append("session", pid=0)
        workplace = Workplace(ReplayExecutor(1, invent_course), Compute(), folder)
        conductor = Conductor(study, journal, workplace, listen=clock.listen)
        conductor.take_up()
        start_s = time.perf_counter() - before
        clock.start()
        conductor.run()
        assert len(conductor.trials) == trials, f"{len(conductor.trials)} trials, not {trials}"
    return start_s


def measure(folder: RunFolder, trials: int, row: str) -> dict[str, Any]:
    """Time the next trials of a copy of a filled study, in this process."""
    if row == "optuna_tpe":
        samplers.ColumnTPESampler = optuna.samplers.TPESampler
        cell_search.hand_on = lambda *_: None
    with tempfile.TemporaryDirectory() as temporary:
        # What is imported, allocated and counted once, however large a study is.
        grow(RunFolder(Path(temporary) / "small"), 20, ROWS[row])
        count_networks()
        copy = RunFolder(Path(temporary) / "copy")
        copy.path.mkdir()
        shutil.copy(folder.journal, copy.journal)
        clock = _Clock()
        clock.watch("ask")
        clock.watch("tell")
        before_mib = _resident_mib()
        start_s = grow(copy, trials + TIMED, ROWS[row], clock)
        held_mib = _resident_mib() - before_mib
    return {
        "trials": trials,
        "row": row,
        "trial_ms": summarize([seconds * 1000 for seconds in clock.trials_s]),
        "optuna_ms": summarize([seconds * 1000 for seconds in clock.optuna_s]),
        "start_s": start_s,
        "held_mib": held_mib,
        "held_kib_per_trial": held_mib * 1024 / (trials + TIMED),
    }


def count_networks() -> None:
    """Count every network of the space, which archsearch does once for each."""
    study = parse_study(STUDY.format(trials=1, sampler="random"), "growth.yaml")
    choices = [dimension.values() for dimension in study.search if dimension.kind != "number"]
    names = [dimension.path for dimension in study.search if dimension.kind != "number"]
    for values in itertools.product(*choices):
        examine(study, dict(zip(names, values, strict=True)))


def measure_apart(folder: RunFolder, trials: int, row: str) -> dict[str, Any]:
    """Do the same in a fresh process, whose memory is this study's alone."""
    command = [sys.executable, "-m", "benchmarks.growth", "--once", str(folder.path), str(trials), row]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_mlflow(folder: RunFolder, uri: str, trials: int, new: int) -> dict[str, Any]:
    """Let MLflow follow from where it was `new` trials ago, then run beside a conductor."""
    write_s, nothing_s = bring_up(folder, uri), bring_up(folder, uri)
    assert count_ended(uri, "growth") == trials, "MLflow lacks trials"
    beside = run_beside(folder, uri, "growth", lambda: grow(folder, trials + TIMED))
    return {
        "trials": trials,
        "row": "mlflow",
        "mirror_start_s": nothing_s,
        "written_ms_per_trial": (write_s - nothing_s) * 1000 / new,
        "trials_beside": TIMED,
        **beside,
    }


def _resident_mib() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--without-mlflow", action="store_true")
    parser.add_argument("--once", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        path, trials, row = arguments.once
        print(json.dumps(measure(RunFolder(Path(path)), int(trials), row)))
        return
    results, present = [], 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, uri = RunFolder(Path(temporary) / "growth"), f"sqlite:///{temporary}/mlflow.db"
        for size in sorted(arguments.sizes):
            # The study grows from size to size, as a user's does.
            grow(folder, size)
            results += [measure_apart(folder, size, row) for row in arguments.rows]
            if not arguments.without_mlflow:
                if not present:
                    bring_up(RunFolder(Path(temporary) / "none"), uri)
                results.append(measure_mlflow(folder, uri, size, size - present))
                present = size + TIMED
    protocol = {
        "timed_trials": TIMED,
        "epochs": 3,
        "rows": arguments.rows,
        "mlflow": not arguments.without_mlflow,
    }
    write_result("growth", protocol, results, arguments.output)


if __name__ == "__main__":
    main()
