"""Everything that a study showed as tidy pandas frames, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from archsearch.analysis.comparisons import compare_curves
from archsearch.analysis.curve_reading import CurveReading, read_curves
from archsearch.analysis.depth_curve import DepthPoint, depth_curves
from archsearch.analysis.recommendation import recommend
from archsearch.analysis.verdict import judge
from archsearch.journal import ReplicateHistory, RunFolder, StudyHistory, TrialHistory
from archsearch.search.ranking import shown_trials
from archsearch.statistics.intervals import mean_interval
from archsearch.study import label_values


def load_frames(study: str, runs_folder: str | Path = "runs") -> Frames:
    """Read the journal of a study that was run, or still runs.

    Args:
        study: Its name, its run folder or its YAML file.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: No study of that name was run there.
    """
    return Frames(RunFolder.find(study, runs_folder).history())


@dataclass(frozen=True)
class Frames:
    """Frames of one observation a row, however much of the study has ended.

        frames = load_frames("degradation")
        frames.replicates.groupby(["block", "depth"])["train_error"].describe()

    Errors and accuracies are fractions. `trial` and `seed` join one frame to another.

    Attributes:
        history: What the journal says.
    """

    history: StudyHistory

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row a trial: its place, its network and what that costs, its outcome, means over its seeds."""
        return pd.DataFrame(
            {
                **_place(trial),
                "phase": trial.phase,
                "outcome": trial.outcome,
                "reason": trial.reason,
                "seeds": len(trial.seeds),
                **{
                    name: value
                    for name, value in trial.architecture.items()
                    if name not in ("block", "depth")
                },
                **{f"training.{name}": value for name, value in trial.training.items()},
                "parameters": trial.parameters,
                "macs": trial.macs,
                "activation_mib": trial.activation_mib,
                "mismatch": trial.mismatch,
                **trial.predictors,
                **{name: value for name, value in trial.metrics.items() if name not in _COSTS},
            }
            for trial in self.history.trials.values()
        )

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """A row a training that has begun: its outcome and its measures at the end, `test_...` among them.

        With what it ran (`session`, its host, `commit`, versions, the model of its `device`, the fingerprint
        of its data) stands in it too, and whose result it is, where it was not trained here.
        """
        return pd.DataFrame(
            {
                **_place(trial),
                "seed": replicate.seed,
                "outcome": replicate.outcome,
                "reason": replicate.reason,
                "attempts": replicate.attempts,
                "epochs": len(replicate.epochs),
                "parameters": trial.parameters,
                "macs": trial.macs,
                **replicate.metrics,
                **replicate.test,
                "taken_over_from": (replicate.taken_over or {}).get("study"),
                **self._provenance(trial, replicate),
            }
            for trial, replicate in self._trainings()
        )

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """A row an epoch, the first being 0."""
        return pd.DataFrame(
            {**_place(trial), "seed": replicate.seed, "epoch": epoch, **metrics}
            for trial, replicate in self._trainings()
            for epoch, metrics in enumerate(replicate.epochs)
        )

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """A row a value of a signal along the depth, `place` 0 being the first block and 1 the last one."""
        return pd.DataFrame(
            {
                **_place(trial),
                "seed": replicate.seed,
                "epoch": epoch,
                "signal": signal,
                "place": index / max(1, len(values) - 1),
                "value": value,
            }
            for trial, replicate in self._trainings()
            for epoch, profile in replicate.profiles.items()
            for signal, values in profile.items()
            for index, value in enumerate(values)
        )

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row a network of the depth curves: its costs, and of each error the mean and its 95 % interval.

        `recommended` is the network to take; `on_front` are those that none beats in validation error and all
        costs at once.
        """
        trials = self.history.trials.values()
        advice = recommend(shown_trials(trials))
        return pd.DataFrame(
            {
                "curve": curve.label,
                "family": curve.family,
                "depth": point.depth,
                "trial": point.trial,
                "network": point.name,
                "parameters": point.parameters,
                "macs": point.macs,
                "latency_ms": point.latency_ms,
                "failed": point.failed,
                **_intervals(point),
                "recommended": advice is not None and advice.chosen.trial == point.trial,
                "on_front": advice is not None and point.trial in advice.front,
            }
            for curve in depth_curves(trials, self.history.header.get("objectives"))
            for point in curve.points
        )

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row a curve: its verdict, in a word and in a sentence."""
        return pd.DataFrame(
            {
                "curve": verdict.curve,
                "family": verdict.family,
                "verdict": verdict.kind,
                "sentence": verdict.sentence,
                "warnings": " ".join(verdict.warnings),
            }
            for verdict in (judge(reading.results) for reading in self._readings)
        )

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """A row a comparison of two cells, or of the slopes of two curves."""
        return pd.DataFrame(asdict(comparison) for comparison in compare_curves(self._readings))

    @cached_property
    def _readings(self) -> list[CurveReading]:
        return read_curves(self.history)

    def _provenance(self, trial: TrialHistory, replicate: ReplicateHistory) -> dict[str, Any]:
        number = replicate.session
        ran = {} if number is None else self.history.sessions[number].provenance
        host = None if number is None else self.history.sessions[number].fields.get("host")
        return {"session": number, "host": host, **ran, "data_fingerprint": trial.data_fingerprint}

    def _trainings(self) -> Iterator[tuple[TrialHistory, ReplicateHistory]]:
        for trial in self.history.trials.values():
            for replicate in trial.replicates.values():
                yield trial, replicate


# These stand in columns of their own.
_COSTS = ("depth", "parameters", "macs", "activation_mib")


def _intervals(point: DepthPoint) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for measure, values in point.errors.items():
        found = mean_interval(values)
        columns |= {measure: found.mean, f"{measure}_low": found.low, f"{measure}_high": found.high}
        columns["seeds"] = found.count
    return columns


def _place(trial: TrialHistory) -> dict[str, Any]:
    """What says of a row where it belongs."""
    return {
        "trial": trial.number,
        "network": trial.name,
        "cell": label_values(trial.cell),
        "block": trial.architecture.get("block"),
        "depth": trial.architecture.get("depth"),
    }
