r"""How many workers one conductor serves: epoch reports and trials per second until it saturates.

    python -m benchmarks.scale --output benchmarks/results/scale.json
    python -m benchmarks.scale --postgresql --output benchmarks/results/scale-postgresql.json
    python -m benchmarks.scale --optuna sqlite:///optuna.db --mlflow http://127.0.0.1:5000

Protocol. For 1, 8, 64 and 512 simulated workers a study runs whose trainings are answered at once (ten epochs
each, no network is trained), so that the conductor is never idle: what it handles per second of wall-clock
time is what it can handle. Every network of the space has been counted before. Proposals are random, so that
a sampler's own growth (see `benchmarks.growth`) is left out. Every record is journaled and fsynced before it
is acted upon. It is asserted that no trial is lost or numbered twice, that no epoch is missing, and that
MLflow and Optuna's storage, where they are given, hold every trial at the end.

`--postgresql` starts a PostgreSQL server on 127.0.0.1 with one database behind Optuna and one behind MLflow;
`--optuna` and `--mlflow` name stores instead. The clock stops when the last trial is told. Given is also how
long the copy in Optuna's storage takes from then on, how many trials MLflow lacks when that is done and the
seconds until it holds them, and the shares of the study's wall-clock time: waiting for the disk
(`journal_fsync`), Optuna's ask and tell (`optuna`), handing trials to Optuna's storage (`optuna_storage`),
and the rest, which is the conductor's Python (`conductor`). What saturates first is printed: the store that
takes longest to catch up, where that is longer than the study took, for it then takes less than half as many
trials a second as the conductor makes; else the largest share. No store ever holds up the conductor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna

from archsearch.journal import Journal, RunFolder
from archsearch.search.cell_search import CellSearch
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.optuna_mirror import OptunaMirror
from archsearch.study import parse_study
from archsearch.training import Compute
from benchmarks.growth import count_networks
from benchmarks.lag import run_beside
from benchmarks.machine import write_result
from benchmarks.postgresql import PostgreSQL
from benchmarks.replay import ReplayExecutor, invent_course
from benchmarks.shares import Shares

WORKERS = (1, 8, 64, 512)
EPOCHS = 10

STUDY = """
name: scale-{workers}
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  width: {{low: 4, high: 8}}
  training.learning_rate: {{low: 0.01, high: 0.5, log: true}}
trials: {trials}
training: {{epochs: {epochs}}}
sampler: random
tracking: {{optuna: '{optuna}'}}
"""


def run(workers: int, trials: int, optuna_url: str, mlflow: str) -> dict[str, Any]:
    """Run one study and return what the conductor handled per second."""
    text = STUDY.format(workers=workers, trials=trials, epochs=EPOCHS, optuna=optuna_url)
    study = parse_study(text, "scale.yaml")
    executor = ReplayExecutor(workers, invent_course, ahead=True)
    with ExitStack() as stack:
        folder = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        journal = stack.enter_context(Journal.open(folder.journal))
        header = {"uid": f"{study.name}-{time.time_ns()}", "name": study.name, "train_images": 1000}
        journal.append("study", **header, objectives=dict(study.objectives))
        journal.append("session", pid=os.getpid())
        conductor = Conductor(study, journal, Workplace(executor, Compute(), folder))
        conductor.take_up()
        shares, lags = Shares(), {}
        shares.watch(os, "fsync", "journal_fsync")
        shares.watch(CellSearch, "ask", "optuna")
        shares.watch(CellSearch, "tell", "optuna")
        shares.watch(OptunaMirror, "add", "optuna_storage")
        stack.enter_context(shares)
        stack.enter_context(_last_wait(shares, lags))

        def bring_to_its_end() -> None:
            shares.start()
            reason = conductor.run()
            if not lags:
                shares.stop()
            conductor.record("finished", reason=reason)

        if mlflow:
            behind = run_beside(folder, mlflow, study.name, bring_to_its_end)
            lags |= {f"mlflow_{name}": value for name, value in behind.items()}
        else:
            bring_to_its_end()
        check_complete(conductor, trials)
        if optuna_url:
            _check_copied(f"{study.name}/all", optuna_url, trials)
        return {
            "workers": workers,
            "trials": trials,
            "reports_per_s": executor.reports / shares.wall_s,
            "trials_per_s": trials / shares.wall_s,
            "processor_share": shares.processor_s / shares.wall_s,
            "shares": shares.of_wall("conductor"),
            **lags,
        }


@contextmanager
def _last_wait(shares: Shares, lags: dict[str, Any]) -> Iterator[None]:
    """Stop the clock when all trials are handled, and only Optuna's storage is waited for."""
    close = OptunaMirror.close

    def timed(mirror: OptunaMirror) -> None:
        shares.stop()
        before = time.perf_counter()
        # Longer than a user would wait: here it is to be measured.
        close(mirror, longest_silence_s=600)
        lags["optuna_lag_s"] = time.perf_counter() - before

    OptunaMirror.close = timed
    try:
        yield
    finally:
        OptunaMirror.close = close


def check_complete(conductor: Conductor, trials: int) -> None:
    """Assert that nothing was lost: every trial, numbered once, with every epoch."""
    assert list(conductor.trials) == list(range(trials)), "trials are missing or numbered twice"
    for trial in conductor.trials.values():
        assert trial.outcome in ("complete", "repeated"), f"trial {trial.number}: {trial.outcome}"
        epochs = len(next(iter(trial.replicates.values())).epochs)
        assert trial.outcome == "repeated" or epochs == EPOCHS, f"trial {trial.number}: {epochs} epochs"


def _check_copied(name: str, url: str, trials: int) -> None:
    copied = optuna.load_study(study_name=name, storage=url).get_trials(deepcopy=False)
    assert len(copied) == trials, f"Optuna's storage holds {len(copied)} of {trials} trials"


def find_saturated(row: dict[str, Any]) -> str:
    """Name what saturates first in a row of the results: a store that cannot follow, or the largest share."""
    lags = {store: row.get(f"{store}_lag_s", 0.0) for store in ("optuna", "mlflow")}
    slowest = max(lags, key=lambda store: lags[store])
    if lags[slowest] > row["trials"] / row["trials_per_s"]:
        return f"{slowest}, {lags[slowest]:.1f} s behind"
    share = max(row["shares"], key=lambda name: row["shares"][name])
    return f"{share}, {row['shares'][share]:.0%} of the time"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--trials", type=int, default=1024)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--postgresql", action="store_true", help="behind Optuna and MLflow")
    parser.add_argument("--optuna", default="", help="Optuna storage URL")
    parser.add_argument("--mlflow", default="", help="MLflow tracking URI")
    arguments = parser.parse_args()
    optuna_url, mlflow = arguments.optuna, arguments.mlflow
    # Imports, and the count of each network, are outside the clock.
    count_networks()
    run(8, 32, "", "")
    with ExitStack() as stack:
        if arguments.postgresql:
            server = stack.enter_context(PostgreSQL())
            optuna_url, mlflow = server.create_database("optuna"), server.create_database("mlflow")
        results = [run(workers, arguments.trials, optuna_url, mlflow) for workers in arguments.workers]
    protocol = {
        "trials": arguments.trials,
        "epochs": EPOCHS,
        "optuna": optuna_url.partition(":")[0] or "in memory",
        "mlflow": mlflow.partition(":")[0] or "none",
    }
    write_result("scale", protocol, results, arguments.output)
    for row in results:
        print(f"{row['workers']} workers: first to saturate: {find_saturated(row)}")


if __name__ == "__main__":
    main()
