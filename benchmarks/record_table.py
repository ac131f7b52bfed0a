"""Train the networks of a recorded table, really, by archsearch itself.

    python -m benchmarks.record_table
    python -m benchmarks.record_table --table digits --runs-dir /tmp/runs

The study `benchmarks/tables/NAME.yaml` is run as any other: the executor, the arithmetic and the packing are
those that archsearch chooses. What its journal says goes to `benchmarks/tables/NAME.csv.gz`, which is small
enough for the repository and which `benchmarks.search_quality` replays: a row a training with swept values,
seed, outcome, parameters, MACs, seconds, and the validation and training error of every epoch. Killed, the
same command goes on where it stopped; `--rows-only` writes the rows that there are by now and trains nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from archsearch.application.running import run_study
from archsearch.journal import Record, RunFolder, StudyHistory
from archsearch.study import StudyConfig, load_study
from benchmarks.recorded_table import TABLES, trainings_of, write_table

_LINE_EVERY_S = 10.0


class _Progress:
    """Prints how far a sweep is, now and then."""

    def __init__(self, study: StudyConfig) -> None:
        self._all = len(study.cells()) * len(study.seeds)
        self._done = 0
        self._begun = self._printed = time.monotonic()

    def listen(self, record: Record) -> None:
        self._done += record.kind == "replicate"
        now = time.monotonic()
        if record.kind == "replicate" and now - self._printed > _LINE_EVERY_S:
            self._printed = now
            rate = self._done / (now - self._begun)
            left_min = (self._all - self._done) / rate / 60
            print(f"{self._done} of at most {self._all} trainings, {rate:.2f}/s, {left_min:.1f} min left")


def record_table(study: StudyConfig, path: Path, runs_folder: Path) -> StudyHistory:
    """Train what is missing and write the table."""
    outcome = run_study(study, runs_folder=runs_folder, listen=_Progress(study).listen, say=print)
    write_rows(study, outcome.history, path)
    return outcome.history


def write_rows(study: StudyConfig, history: StudyHistory, path: Path) -> None:
    """Write the trainings that a history tells of."""
    trainings = trainings_of(history)
    write_table(trainings, path, [dimension.path for dimension in study.sweep])
    print(f"{path}: {len(trainings)} trainings, {path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", default="digits", help="NAME of benchmarks/tables/NAME.yaml")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--rows-only", action="store_true")
    arguments = parser.parse_args()
    study = load_study(TABLES / f"{arguments.table}.yaml")
    path = TABLES / f"{arguments.table}.csv.gz"
    if arguments.rows_only:
        write_rows(study, RunFolder.of(study.name, arguments.runs_dir).history(), path)
    else:
        record_table(study, path, arguments.runs_dir)


if __name__ == "__main__":
    main()
