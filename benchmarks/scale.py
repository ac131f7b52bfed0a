r"""How many workers one conductor serves: epoch reports and trials per second until it saturates.

    python -m benchmarks.scale --output benchmarks/results/scale.json
    python -m benchmarks.scale --optuna postgresql+psycopg://me@127.0.0.1/optuna \
        --mlflow postgresql+psycopg://me@127.0.0.1/mlflow

Protocol. For 1, 8, 64 and 512 simulated workers a study runs whose trainings are answered at once (ten epochs
each, no network is trained), so that the conductor is never idle: what it handles per second of wall-clock
time is what it can handle. Proposals are random, so that a sampler's own growth (see `benchmarks.growth`) is
left out. Every report is journaled and fsynced. It is checked that no trial is lost or numbered twice and no
epoch is missing. With `--optuna`, finished trials are copied to that storage; with `--mlflow`, the mirror
process writes that store meanwhile, and its lag (journal records not yet in MLflow when the study ends, and
the seconds until they are) is given. What saturates first is told by the conductor's share of processor time:
the rest is waiting for the disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from archsearch.journal import Journal, RunFolder
from archsearch.search.conductor import Conductor, Workplace
from archsearch.study import parse_study
from archsearch.tracking import MirrorProcess
from archsearch.training import Compute
from benchmarks.machine import write_result
from benchmarks.replay import ReplayExecutor, invent_course

WORKERS = (1, 8, 64, 512)
EPOCHS = 10

STUDY = """
name: scale-{workers}
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  width: {{low: 4, high: 16}}
  training.learning_rate: {{low: 0.01, high: 0.5, log: true}}
trials: {trials}
training: {{epochs: {epochs}}}
sampler: random
tracking: {{optuna: '{optuna}'}}
"""


def run(workers: int, trials: int, optuna: str, mlflow: str) -> dict[str, Any]:
    """Run one study and return what the conductor handled per second."""
    text = STUDY.format(workers=workers, trials=trials, epochs=EPOCHS, optuna=optuna)
    study = parse_study(text, "scale.yaml")
    executor = ReplayExecutor(workers, invent_course, ahead=True)
    with ExitStack() as stack:
        folder = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        journal = stack.enter_context(Journal.open(folder.journal))
        header = {"uid": f"{study.name}-{time.time_ns()}", "name": study.name, "train_images": 1000}
        journal.append("study", **header, objectives=dict(study.objectives))
        journal.append("session", pid=os.getpid())
        mirror = stack.enter_context(MirrorProcess(folder.path, mlflow)) if mlflow else None
        conductor = Conductor(study, journal, Workplace(executor, Compute(), folder))
        conductor.take_up()
        wall, processor = time.perf_counter(), time.process_time()
        conductor.record("finished", reason=conductor.run())
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        _check_complete(conductor, trials)
        result = {
            "workers": workers,
            "trials": trials,
            "reports_per_s": executor.reports / wall,
            "trials_per_s": trials / wall,
            "processor_share": processor / wall,
        }
        if mirror is not None:
            result["mlflow_lag_records"] = mirror.status.lag
            before = time.perf_counter()
            status = mirror.close(timeout_s=3600)
            result |= {"mlflow_lag_s": time.perf_counter() - before, "mlflow_state": status.state}
        return result


def _check_complete(conductor: Conductor, trials: int) -> None:
    assert list(conductor.trials) == list(range(trials)), "trials are missing or numbered twice"
    for trial in conductor.trials.values():
        assert trial.outcome in ("complete", "repeated"), f"trial {trial.number}: {trial.outcome}"
        epochs = len(next(iter(trial.replicates.values())).epochs)
        assert trial.outcome == "repeated" or epochs == EPOCHS, f"trial {trial.number}: {epochs} epochs"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--trials", type=int, default=1024)
    parser.add_argument("--optuna", default="", help="Optuna storage URL")
    parser.add_argument("--mlflow", default="", help="MLflow tracking URI")
    arguments = parser.parse_args()
    # Imports, and the first count of each network, are outside the clock.
    run(8, arguments.trials, "", "")
    results = [run(workers, arguments.trials, arguments.optuna, arguments.mlflow) for workers in WORKERS]
    protocol = {
        "trials": arguments.trials,
        "epochs": EPOCHS,
        "optuna": arguments.optuna.partition(":")[0] or "in memory",
        "mlflow": arguments.mlflow.partition(":")[0] or "none",
    }
    write_result("scale", protocol, results, arguments.output)


if __name__ == "__main__":
    main()
