"""What searches find for the same number of epochs, with real trainings: no table answers here.

    python -m benchmarks.real_search --output benchmarks/results/real_search.json
    python -m benchmarks.real_search --methods random tpe+asha --seeds 1 --budget-epochs 100

Protocol. The space of the recorded table (see `benchmarks.search_quality`) is searched by `archsearch run`'s
own code with one worker a core, networks really being trained, until so many epochs are spent. The methods
take turns, one study each under every seed; the seeds are those of the study, as in the replays. The answer
is the complete trial with the least validation error, as the search saw it under its one seed. What it is
worth is looked up: the mean validation error of that network over the table's three seeds, less that of the
table's best (*regret*). Given are for each method the epochs spent, the regrets and their median, the trials
made and those trained in full, and the seconds of the whole study.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from archsearch.application.running import run_study
from benchmarks.machine import summarize, write_result
from benchmarks.recorded_table import TABLES, RecordedTable, load_table
from benchmarks.replaying import Method, Observer, searching
from benchmarks.search_quality import METHODS

_COMPARED = ("random", "tpe+hyperband", "tpe+asha")


def search(
    table: RecordedTable, method: Method, *, seed: int, budget_epochs: int, trials: int
) -> dict[str, Any]:
    """Run one study in a folder of its own."""
    study = searching(table.study, method, seed=seed, budget_epochs=budget_epochs, trials=trials)
    observer = Observer(table)
    with tempfile.TemporaryDirectory() as folder:
        before = time.perf_counter()
        outcome = run_study(study, runs_folder=folder, listen=observer.listen)
        seconds = time.perf_counter() - before
    return {
        "epochs": observer.spent,
        "regret_points": 100 * (observer.points[-1][1] - table.best),
        "trials": len(outcome.history.trials),
        "complete": observer.trials.get("complete", 0),
        "seconds": seconds,
    }


def summarize_method(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a method's row."""
    row: dict[str, Any] = {"method": name, "regrets_points": [run["regret_points"] for run in runs]}
    return row | {key: summarize([run[key] for run in runs]) for key in runs[0]}


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a line a method."""
    print(f"{'method':24} {'epochs':>7} {'regret, median':>15} {'each':>28} {'complete':>9} {'seconds':>8}")
    for row in rows:
        each = ", ".join(f"{regret:.2f}" for regret in sorted(row["regrets_points"]))
        middle = statistics.median(row["regrets_points"])
        complete, of = row["complete"]["median"], row["trials"]["median"]
        print(
            f"{row['method']:24} {row['epochs']['median']:7.0f} {middle:15.2f} {each:>28} "
            f"{complete:4.0f}/{of:4.0f} {row['seconds']['median']:8.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", default="digits")
    parser.add_argument("--tables-dir", type=Path, default=TABLES)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(_COMPARED))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget-epochs", type=int, default=270)
    parser.add_argument("--trials", type=int, default=1000, help="at most")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = load_table(options.table, options.tables_dir)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.methods}
    for seed in range(options.seeds):
        for name, found in runs.items():
            limits = {"budget_epochs": options.budget_epochs, "trials": options.trials}
            found.append(search(table, METHODS[name], seed=seed, **limits))
    rows = [summarize_method(name, found) for name, found in runs.items()]
    print_table(rows)
    protocol = {name: getattr(options, name) for name in ("table", "seeds", "budget_epochs", "trials")}
    write_result("real_search", protocol | {"best_error": table.best}, rows, options.output)


if __name__ == "__main__":
    main()
