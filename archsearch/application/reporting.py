"""The report of a study: what its curves show, its depth curve as a picture and as a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis import (
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
from archsearch.analysis.predictor_ranks import PredictorRanks, rank_predictors
from archsearch.analysis.report_page import write_page
from archsearch.analysis.report_plots import draw_pictures
from archsearch.application.html import write_table
from archsearch.errors import RunFolderError
from archsearch.journal import CONCLUSION_NAME, RunFolder, StudyHistory
from archsearch.journal.writing import unwritable
from archsearch.search.ranking import shown_trials
from archsearch.study.public_text import escape_markdown


@dataclass(frozen=True)
class Report:
    """What was written, and what it shows.

    Attributes:
        study: Its name.
        curves: Depth against error.
        verdicts: One for each curve that is more than a baseline.
        comparisons: Of cells and of curves.
        recommendation: Which network to take; None where none ended well.
        predictors: How well free predictors rank its networks; empty where it did not ask for them.
        page: All of it, to be read in a browser.
        picture: Of the curves.
        table: Of the curves.
    """

    study: str
    curves: tuple[DepthCurve, ...]
    verdicts: tuple[Verdict, ...]
    comparisons: tuple[CellComparison, ...]
    recommendation: Recommendation | None
    predictors: tuple[PredictorRanks, ...]
    page: Path
    picture: Path
    table: Path

    @property
    def conclusion(self) -> str:
        """What it shows, as lines of Markdown."""
        lines = [
            f"- **{escape_markdown(v.curve)}: {v.kind.replace('_', ' ')}.** {escape_markdown(v.sentence)}"
            for v in self.verdicts
        ]
        if self.recommendation:
            lines.append(f"- {escape_markdown(self.recommendation.sentence)}")
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        said = "; ".join(f"{verdict.curve}: {verdict.kind}" for verdict in self.verdicts)
        return f"Report({self.study}: {said or 'no curve yet'}; {self.page})"

    def _repr_html_(self) -> str:
        """The report as a notebook shows it."""
        rows = [[v.curve, v.kind.replace("_", " "), v.sentence] for v in self.verdicts]
        below = [self.recommendation.sentence] if self.recommendation else []
        header = ["curve", "verdict", "what it shows"]
        return write_table(self.study, header, rows, below=[*below, f"In full: {self.page}"])

    def to_mapping(self) -> dict[str, Any]:
        """The report as JSON's values."""
        return {
            "study": self.study,
            "verdicts": [verdict.to_mapping() for verdict in self.verdicts],
            "comparisons": [comparison.to_mapping() for comparison in self.comparisons],
            "recommendation": self.recommendation and self.recommendation.to_mapping(),
            "predictors": [ranks.to_mapping() for ranks in self.predictors],
            "page": str(self.page),
            "picture": str(self.picture),
            "table": str(self.table),
            "curves": [
                {"curve": curve.label, "family": curve.family, "points": curve.rows()}
                for curve in self.curves
            ],
        }


def report_study(study: str, *, runs_folder: str | Path = "runs") -> Report:
    """Write the report of a study that was run, see `write_report`.

    Raises:
        RunFolderError: The study was not run, or none of its trials has ended.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    report = write_report(folder, history)
    if report is None:
        name = history.header["name"]
        raise RunFolderError("must have a finished trial", path="STUDY", got=name, fix="Run it first.")
    return report


def write_report(folder: RunFolder, history: StudyHistory) -> Report | None:
    """Say what a study shows, and write its page, pictures and table, from its journal alone.

    Returns:
        The report; None where no trial has ended, so that there is nothing to say.
    """
    name = history.header["name"]
    curves = tuple(depth_curves(history.trials.values(), history.header.get("objectives")))
    if not curves:
        return None
    readings = read_curves(history)
    report = Report(
        study=name,
        curves=curves,
        verdicts=tuple(judge(reading.results) for reading in readings),
        comparisons=tuple(compare_curves(readings)),
        recommendation=recommend(shown_trials(history.trials.values())),
        predictors=tuple(rank_predictors(history.trials.values())),
        page=folder.report / "report.html",
        picture=folder.report / "depth_curve.png",
        table=folder.report / "depth_curve.csv",
    )
    try:
        _write(report, folder, history)
    except OSError as error:
        raise unwritable(folder.report, error) from error
    return report


def _write(report: Report, folder: RunFolder, history: StudyHistory) -> None:
    folder.report.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(history, report.curves)
    for picture in pictures:
        picture.save(folder.report)
    write_page(
        report.page,
        history,
        curves=report.curves,
        verdicts=report.verdicts,
        comparisons=report.comparisons,
        recommendation=report.recommendation,
        predictors=report.predictors,
        pictures=pictures,
    )
    shown = "".join(f"\n![{picture.heading}](small/{picture.name}.png)\n" for picture in pictures)
    (folder.report / CONCLUSION_NAME).write_text(report.conclusion + shown, encoding="utf-8")
    rows = [{"curve": curve.label, **row} for curve in report.curves for row in curve.rows()]
    with report.table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
