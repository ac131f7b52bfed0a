"""The results of a claim as they stand in its tables: read back as curves, cells and samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from archsearch.analysis import CellResults, CurveResults
from archsearch.analysis.curve_tests import training_sample, validation_sample
from archsearch.statistics.contrasts import Contrast, difference
from archsearch.statistics.intervals import mean_interval
from archsearch.statistics.samples import Sample
from archsearch.statistics.trends import slope

Measure = Literal["train_error", "val_error"]
Place = tuple[str, int]
"""Label of a curve, and depth."""

# Of float32: a gradient that is smaller was rounded to 0 on its way.
_SMALLEST = 1e-38


@dataclass(frozen=True)
class Evidence:
    """The tables of one folder of results.

    Attributes:
        folder: Where they stand.
    """

    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        """The table NAME.csv."""
        return pd.read_csv(self.folder / f"{name}.csv", keep_default_na=False, na_values=[""])

    @cached_property
    def trainings(self) -> pd.DataFrame:
        """A row a training of a cell: errors at the end, cost, gradients."""
        return self.table("trainings")

    @cached_property
    def studies(self) -> pd.DataFrame:
        """A row a study: its images, epochs, what it spent and on what it ran."""
        return self.table("studies").set_index("study")

    def curves(self, study: str) -> dict[str, CurveResults]:
        """The curves of a study by their labels."""
        rows, about = self.trainings[self.trainings["study"] == study], self.studies.loc[study]
        return {
            str(label): CurveResults(
                label=str(label),
                family=str(group["family"].iloc[0]),
                cells=tuple(_cell(int(depth), cell) for depth, cell in group.groupby("depth")),
                epochs=int(about["epochs"]),
                classes=int(about["classes"]),
                train_images=int(about["train_images"]),
                val_images=int(about["val_images"]),
                smallest_difference=float(about["smallest_difference"]),
            )
            for label, group in rows.groupby("curve", sort=False)
        }

    def depths(self, study: str, label: str) -> list[int]:
        """The depths of a curve, the shallowest first."""
        return [cell.depth for cell in self.curves(study)[label].cells]

    def at_end(self, study: str, label: str) -> Place:
        """The place of a curve's deepest networks."""
        return label, self.depths(study, label)[-1]

    def sample(self, study: str, place: Place, measure: Measure) -> Sample | None:
        """The errors of a cell; None where fewer than two seeds ended."""
        curve = self.curves(study).get(place[0])
        cell = next((cell for cell in curve.cells if cell.depth == place[1]), None) if curve else None
        if curve is None or cell is None or cell.ended < 2:
            return None
        return training_sample(curve, cell) if measure == "train_error" else validation_sample(curve, cell)

    def change(self, study: str, first: Place, second: Place, measure: Measure) -> Contrast | None:
        """The error of the second cell minus that of the first; None where there are too few seeds."""
        one, two = (self.sample(study, place, measure) for place in (first, second))
        return difference(one, two) if one and two else None

    def rise(self, study: str, label: str, measure: Measure) -> Contrast | None:
        """How much an error changes from the shallowest to the deepest networks of a curve."""
        depths = self.depths(study, label)
        return self.change(study, (label, depths[0]), (label, depths[-1]), measure)

    def say_ends(self, study: str, label: str) -> str:
        """``from depth 8 to 56``: the shallowest and the deepest networks of a curve."""
        depths = self.depths(study, label)
        return f"from depth {depths[0]} to {depths[-1]}"

    def trend(self, study: str, label: str, measure: Measure) -> Contrast | None:
        """How much an error changes along the line over all depths of a curve, from its first to its last.

        None where there are too few seeds at some depth.
        """
        depths = self.depths(study, label)
        samples = [sample for depth in depths if (sample := self.sample(study, (label, depth), measure))]
        if len(samples) < len(depths) or len(depths) < 2:
            return None
        line, doublings = slope(samples, depths), math.log2(depths[-1] / depths[0])
        return Contrast(line.estimate * doublings, line.standard_error * doublings, line.df)

    def at(self, study: str, place: Place) -> pd.DataFrame:
        """The trainings of a cell that came to their end."""
        rows = self.all_at(study, place)
        return rows[rows["outcome"] == "complete"]

    def all_at(self, study: str, place: Place) -> pd.DataFrame:
        """The trainings of a cell, however they ended."""
        rows = self.trainings
        return rows[(rows["study"] == study) & (rows["curve"] == place[0]) & (rows["depth"] == place[1])]

    def network(self, study: str, place: Place) -> str:
        """Name of a cell's network."""
        return str(self.all_at(study, place)["network"].iloc[0])

    def parameters(self, study: str, place: Place) -> int:
        """Parameters of a cell's network."""
        return int(self.all_at(study, place)["parameters"].iloc[0])

    def macs(self, study: str, place: Place) -> int:
        """Multiply-accumulates of a cell's network for one image."""
        return int(self.all_at(study, place)["macs"].iloc[0])

    def test_sample(self, study: str, place: Place) -> Sample | None:
        """The test errors of a cell, a guess's for each that diverged; None where fewer than two seeds ended.

        As for validation errors, a quarter of the variance of other images is not shared by two networks.
        """
        about, ended = self.studies.loc[study], self.all_at(study, place)
        diverged = int((ended["outcome"] == "diverged").sum())
        chance = 1 - 1 / int(about["classes"])
        errors = [*self.at(study, place)["test_error"].dropna(), *[chance] * diverged]
        if len(errors) < 2:
            return None
        mean, images = sum(errors) / len(errors), int(about["test_images"])
        return Sample.of(errors, resolution=1 / images, known_variance=0.25 * mean * (1 - mean) / images)

    def log_gradient_ratio(self, study: str, place: Place) -> Contrast | None:
        """log10 of the gradient in the first layers over that in the last, over the training."""
        ratios = self.at(study, place)["gradient_ratio"].dropna()
        return estimate_mean([math.log10(max(ratio, _SMALLEST)) for ratio in ratios])

    def say_mean(self, study: str, place: Place, measure: str) -> str:
        """``12.3 % (11.8 to 12.8)``: the mean of a cell's seeds and its 95 % interval."""
        values = self.at(study, place)[measure].dropna().tolist()
        if not values:
            return "not measured"
        found = mean_interval(values)
        if found.low is None or found.high is None:
            return f"{100 * found.mean:.2f} %"
        low, high = max(0.0, found.low), min(1.0, found.high)
        return f"{100 * found.mean:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def say_label(label: str) -> str:
    """A label for people: ``training.weight_decay=0.001`` is ``weight decay 0.001``."""
    parts = (part.removeprefix("training.").replace("_", " ").replace("=", " ") for part in label.split(" "))
    return ", ".join(parts)


def estimate_mean(values: Sequence[float]) -> Contrast | None:
    """The mean of some values as a contrast; None where there are fewer than two."""
    if len(values) < 2:
        return None
    sample = Sample.of(list(values))
    return Contrast(sample.mean, sample.standard_error, sample.count - 1)


def compare_values(first: Sequence[float], second: Sequence[float]) -> Contrast | None:
    """The mean of the second minus that of the first (Welch); None where one has fewer than two values."""
    if min(len(first), len(second)) < 2:
        return None
    return difference(Sample.of(list(first)), Sample.of(list(second)))


def _cell(depth: int, rows: pd.DataFrame) -> CellResults:
    complete = rows[rows["outcome"] == "complete"]
    count = rows["outcome"].value_counts()
    return CellResults(
        depth=depth,
        train_errors=tuple(complete["train_error"]),
        val_errors=tuple(complete["val_error"]),
        diverged=int(count.get("diverged", 0)),
        failed=int(count.get("failed", 0)),
        missing=int(count.get("missing", 0)),
        initial_gradient_ratios=tuple(rows["initial_gradient_ratio"].dropna()),
        gradient_ratios=tuple(rows["gradient_ratio"].dropna()),
    )
