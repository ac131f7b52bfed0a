"""The report of a study: what its curves show, its depth curve as a picture and as a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis import (
    MEASURES,
    CellComparison,
    DepthCurve,
    Recommendation,
    Verdict,
    compare_curves,
    depth_curves,
    judge,
    read_curves,
    recommend,
)
from archsearch.analysis.plots import plot_depth_curves
from archsearch.errors import RunFolderError
from archsearch.journal import RunFolder
from archsearch.search.ranking import reported_trials


@dataclass(frozen=True)
class Report:
    """What was written, and what it shows.

    Attributes:
        study: Its name.
        curves: Depth against error.
        verdicts: One for each curve that is more than a baseline.
        comparisons: Of cells and of curves.
        recommendation: Which network to take; None where none ended well.
        picture: Of the curves.
        table: Of the curves.
    """

    study: str
    curves: tuple[DepthCurve, ...]
    verdicts: tuple[Verdict, ...]
    comparisons: tuple[CellComparison, ...]
    recommendation: Recommendation | None
    picture: Path
    table: Path

    def to_mapping(self) -> dict[str, Any]:
        """The report as JSON's values."""
        return {
            "study": self.study,
            "verdicts": [verdict.to_mapping() for verdict in self.verdicts],
            "comparisons": [comparison.to_mapping() for comparison in self.comparisons],
            "recommendation": self.recommendation and self.recommendation.to_mapping(),
            "picture": str(self.picture),
            "table": str(self.table),
            "curves": [
                {"curve": curve.label, "family": curve.family, "points": _rows(curve)}
                for curve in self.curves
            ],
        }


def report_study(study: str, *, runs_folder: str | Path = "runs") -> Report:
    """Draw the depth curves of a study and write their table, from its journal alone.

    Raises:
        RunFolderError: The study was not run, or none of its trials has ended.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    name = history.header["name"]
    curves = tuple(depth_curves(history.trials.values()))
    if not curves:
        raise RunFolderError("must have a finished trial", path="STUDY", got=name, fix="Run it first.")
    readings = read_curves(history)
    report = Report(
        study=name,
        curves=curves,
        verdicts=tuple(judge(reading.results) for reading in readings),
        comparisons=tuple(compare_curves(readings)),
        recommendation=recommend(
            reported_trials(history.trials.values()), val_images=history.header.get("val_images")
        ),
        picture=folder.report / "depth_curve.png",
        table=folder.report / "depth_curve.csv",
    )
    data = f"{next(iter(history.trials.values())).data['name']}"
    plot_depth_curves(curves, f"{name}: depth against error on {data}", report.picture)
    rows = [{"curve": curve.label, **row} for curve in curves for row in _rows(curve)]
    with report.table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return report


def _rows(curve: DepthCurve) -> list[dict[str, Any]]:
    rows = []
    for point in curve.points:
        row: dict[str, Any] = {
            "depth": point.depth,
            "trial": point.trial,
            "network": point.name,
            "parameters": point.parameters,
            "macs": point.macs,
        }
        for measure in MEASURES:
            if measure in point.errors:
                row[measure] = point.mean(measure)
                row[f"{measure}_std"] = point.std(measure)
                row["seeds"] = len(point.errors[measure])
        rows.append(row)
    return rows
