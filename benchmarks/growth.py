"""What a trial costs the conductor when a study has grown: at 10, 100, 1,000 and 10,000 trials.

    python -m benchmarks.growth --output benchmarks/results/growth.json

Protocol. A study's journal is filled with N trials of three epochs, proposed at random and answered at once
from a function (no network is trained). The conductor is then started on it anew, and the next trials are
timed one by one, for each sampler in turn: the processor time of this process from the trial before to its
end (proposing, counting the network, seven journal records, each fsynced, deciding what is next). Optuna's
share is the time inside ask and tell. Given are median, least and largest over the timed trials; the time to
start anew from the journal; and this process's resident memory. Imports are outside the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from archsearch.journal import Journal, Record, RunFolder
from archsearch.search.cell_search import CellSearch
from archsearch.search.conductor import Conductor, Workplace
from archsearch.study import parse_study
from archsearch.training import Compute
from benchmarks.machine import summarize, write_result
from benchmarks.replay import ReplayExecutor, invent_course

SIZES = (10, 100, 1_000, 10_000)
SAMPLERS = ("random", "tpe", "{name: tpe, multivariate: false}")
TIMED = 30

STUDY = """
name: growth
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  width: {{low: 4, high: 16}}
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

    def watch(self, name: str) -> Any:
        """Wrap a method of `CellSearch` so that its time counts as Optuna's; returns the original."""
        original = getattr(CellSearch, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            before = time.process_time()
            try:
                return original(*args, **kwargs)
            finally:
                self._optuna += time.process_time() - before

        setattr(CellSearch, name, timed)
        return original


def fill(folder: RunFolder, trials: int) -> None:
    """Bring a study to `trials` trials, proposed at random."""
    _run(folder, trials, "random", _Clock())


def measure(folder: RunFolder, trials: int, sampler: str) -> dict[str, Any]:
    """Time the next trials of a copy of a filled study."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = RunFolder(Path(temporary))
        copy.journal.write_bytes(folder.journal.read_bytes())
        clock = _Clock()
        originals = {name: clock.watch(name) for name in ("ask", "tell")}
        try:
            start_s = _run(copy, trials + TIMED, sampler, clock)
        finally:
            for name, original in originals.items():
                setattr(CellSearch, name, original)
    return {
        "trials": trials,
        "sampler": sampler,
        "trial_ms": summarize([seconds * 1000 for seconds in clock.trials_s]),
        "optuna_ms": summarize([seconds * 1000 for seconds in clock.optuna_s]),
        "start_s": start_s,
        "resident_mib": psutil.Process().memory_info().rss / 2**20,
    }


def _run(folder: RunFolder, trials: int, sampler: str, clock: _Clock) -> float:
    study = parse_study(STUDY.format(trials=trials, sampler=sampler), "growth.yaml")
    before = time.perf_counter()
    with Journal.open(folder.journal) as journal:
        if not journal.records:
            journal.append("study", name=study.name, train_images=1000, objectives=dict(study.objectives))
        workplace = Workplace(ReplayExecutor(1, invent_course), Compute(), folder)
        conductor = Conductor(study, journal, workplace, listen=clock.listen)
        conductor.take_up()
        start_s = time.perf_counter() - before
        clock.start()
        conductor.run()
    return start_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = RunFolder(Path(temporary))
        for size in sorted(arguments.sizes):
            # The study grows from size to size, as a user's does.
            fill(folder, size)
            results += [measure(folder, size, sampler) for sampler in SAMPLERS]
    write_result("growth", {"timed_trials": TIMED, "epochs": 3}, results, arguments.output)


if __name__ == "__main__":
    main()
