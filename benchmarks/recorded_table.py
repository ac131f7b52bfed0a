"""Networks that were really trained, with their learning curves: the values of a recorded table.

A table is a study (a sweep: every combination of its values, under several seeds) and a CSV file of what its
trainings came to, a row each.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archsearch.journal import StudyHistory, TrialHistory
from archsearch.study import StudyConfig, load_study
from archsearch.training import Job
from benchmarks.replay import Course

TABLES = Path(__file__).parent / "tables"

Key = tuple[str, float]
"""Identity of the architecture, and learning rate."""

_RATE = "training.learning_rate"


@dataclass(frozen=True)
class Training:
    """One row: a network trained once under one seed.

    Attributes:
        values: Swept values by path.
        outcome: complete, or failed, with the reason.
        val_errors: After each epoch.
        train_errors: While training, of each epoch.
        train_error: At the end, in evaluation mode; NaN where it did not come to that.
        train_time_s: Seconds of the training passes; of packed replicates an equal share.
    """

    values: Mapping[str, Any]
    seed: int
    outcome: str
    reason: str
    parameters: int
    macs: int
    val_errors: tuple[float, ...]
    train_errors: tuple[float, ...]
    train_error: float
    train_time_s: float


@dataclass(frozen=True)
class RecordedTable:
    """All trainings of a study.

    Attributes:
        study: What was trained.
        trainings: Its rows.
    """

    study: StudyConfig
    trainings: tuple[Training, ...]

    def course(self, job: Job) -> Course:
        """How a job's training goes: as that of one of the recorded seeds did, which one by its own seed."""
        rows = self._rows[job.architecture.id, job.training.learning_rate]
        # By network too, or a replay would see all of them under one seed, and another replay the same ones.
        draw = hashlib.sha256(f"{job.seed}/{job.architecture.id}/{job.training.learning_rate!r}".encode())
        return _course(rows[int.from_bytes(draw.digest()[:4], "big") % len(rows)])

    @cached_property
    def true_errors(self) -> dict[Key, float]:
        """Mean validation error over the seeds after the last epoch; infinite where a training failed."""
        return {key: _mean_error(rows) for key, rows in self._rows.items()}

    @cached_property
    def best(self) -> float:
        """The least of these."""
        return min(self.true_errors.values())

    def key(self, values: Mapping[str, Any]) -> Key:
        """The key of swept values; a table outlives a change of what identities look like."""
        spec = self.study.resolve(values)
        return spec.architecture.id, spec.training.learning_rate

    @cached_property
    def _rows(self) -> dict[Key, list[Training]]:
        rows: dict[Key, list[Training]] = {}
        for training in self.trainings:
            rows.setdefault(self.key(training.values), []).append(training)
        return rows


def _mean_error(rows: Sequence[Training]) -> float:
    whole = all(row.outcome == "complete" for row in rows)
    return statistics.fmean(row.val_errors[-1] for row in rows) if whole else math.inf


def _course(row: Training) -> Course:
    epochs = [
        {"val_error": error, "val_accuracy": 1 - error, "train_accuracy": 1 - train}
        for error, train in zip(row.val_errors, row.train_errors, strict=True)
    ]
    complete = row.outcome == "complete"
    end = {**epochs[-1], "train_error": row.train_error} if complete else {}
    epoch_s = row.train_time_s / max(1, len(epochs))
    return Course(epochs, end, epoch_s, "complete" if complete else "failed", row.reason)


def trainings_of(history: StudyHistory) -> list[Training]:
    """The replicates of a study that have ended, by trial and seed."""
    return [
        _training(history, trial, seed)
        for trial in history.trials.values()
        for seed in trial.seeds
        if seed in trial.replicates and trial.replicates[seed].outcome in ("complete", "failed")
    ]


def _training(history: StudyHistory, trial: TrialHistory, seed: int) -> Training:
    replicate = trial.replicates[seed]
    source = replicate
    if replicate.repeated_of is not None:
        source = history.trials[replicate.repeated_of].replicates[seed]
    return Training(
        values=dict(trial.cell),
        seed=seed,
        outcome=replicate.outcome or "",
        reason=replicate.reason,
        parameters=trial.parameters or 0,
        macs=trial.macs or 0,
        val_errors=tuple(epoch["val_error"] for epoch in source.epochs),
        train_errors=tuple(1 - epoch["train_accuracy"] for epoch in source.epochs),
        train_error=replicate.metrics.get("train_error", math.nan),
        train_time_s=replicate.metrics.get("train_time_s", 0.0),
    )


def write_table(trainings: Iterable[Training], path: Path, swept: Sequence[str]) -> None:
    """Write rows as gzip'd CSV: swept values, then what came of them, then the curves, `;` between epochs.

    Args:
        trainings: The rows.
        path: Replaced as a whole.
        swept: Paths of the swept values.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*swept, *_COLUMNS])
    for row in trainings:
        values = [row.values.get(name, "") for name in swept]
        ends = [row.seed, row.outcome, row.reason, row.parameters, row.macs]
        measured = [f"{row.train_error:.5f}", f"{row.train_time_s:.3f}"]
        writer.writerow([*values, *ends, *measured, _join(row.val_errors), _join(row.train_errors)])
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a time of its own, so that the same rows make the same file.
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


_COLUMNS = (
    *("seed", "outcome", "reason", "parameters", "macs"),
    *("train_error", "train_time_s", "val_errors", "train_errors"),
)


def load_table(name: str = "digits", folder: Path = TABLES) -> RecordedTable:
    """Read a table by its name, from ``NAME.yaml`` and ``NAME.csv.gz``."""
    study = load_study(folder / f"{name}.yaml")
    dimensions = {dimension.path: dimension for dimension in study.sweep}
    rows = csv.DictReader(io.StringIO(gzip.decompress((folder / f"{name}.csv.gz").read_bytes()).decode()))
    trainings = []
    for row in rows:
        texts = {path: row[path] for path in dimensions if row[path]}
        trainings.append(
            Training(
                values={path: _swept_value(text, dimensions[path].choices) for path, text in texts.items()},
                seed=int(row["seed"]),
                outcome=row["outcome"],
                reason=row["reason"],
                parameters=int(row["parameters"]),
                macs=int(row["macs"]),
                val_errors=_split(row["val_errors"]),
                train_errors=_split(row["train_errors"]),
                train_error=float(row["train_error"]),
                train_time_s=float(row["train_time_s"]),
            )
        )
    return RecordedTable(study, tuple(trainings))


def _swept_value(text: str, choices: Sequence[Any]) -> Any:
    return next(choice for choice in choices if str(choice) == text)


def _join(errors: Sequence[float]) -> str:
    return ";".join(f"{error:.5f}" for error in errors)


def _split(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(";") if part)
