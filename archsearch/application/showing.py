"""What a study asks and what it found so far, from its journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis import (
    DepthCurve,
    Recommendation,
    Verdict,
    depth_curves,
    judge,
    read_curves,
    recommend,
)
from archsearch.application.studies import Glance, describe_trial, read_glance
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.search.ranking import rank, reported_trials, shown_trials
from archsearch.study import label_values
from archsearch.study.summary import list_settings, read_question


@dataclass(frozen=True)
class CellView:
    """What became of a cell.

    Attributes:
        label: ``block=plain depth=20``.
        outcomes: Number of its trials by outcome.
        best: The trial that its answer rests on; None where none has ended.
    """

    label: str
    outcomes: Mapping[str, int]
    best: TrialHistory | None


@dataclass(frozen=True)
class StudyView:
    """A study and what it found so far.

    Attributes:
        glance: What it is doing, and what its trials came to.
        history: All that its journal says.
        question: The words at the head of its file.
        settings: What its file says, by key, as YAML in one line.
        cells: In the order of the study; of a study without a sweep none.
        curves: Depth against error.
        verdicts: What each curve shows.
        recommendation: Which network to take; None where none ended well.
    """

    glance: Glance
    history: StudyHistory
    question: str
    settings: Mapping[str, str]
    cells: tuple[CellView, ...]
    curves: tuple[DepthCurve, ...]
    verdicts: tuple[Verdict, ...]
    recommendation: Recommendation | None

    def to_mapping(self) -> dict[str, Any]:
        """The view as JSON's values."""
        objectives = self.glance.objectives
        ranked = rank(reported_trials(self.history.trials.values()), objectives)
        return {
            **self.glance.to_mapping(),
            "question": self.question,
            "settings": dict(self.settings),
            "cells": [
                {
                    "cell": cell.label,
                    "trials": dict(cell.outcomes),
                    "best": cell.best and describe_trial(cell.best, objectives),
                }
                for cell in self.cells
            ],
            "curves": [
                {"curve": curve.label, "family": curve.family, "points": curve.rows()}
                for curve in self.curves
            ],
            "leaderboard": [describe_trial(trial, objectives) for trial in ranked],
            "verdicts": [verdict.to_mapping() for verdict in self.verdicts],
            "recommendation": self.recommendation and self.recommendation.to_mapping(),
        }


def show_study(study: str, *, runs_folder: str | Path = "runs") -> StudyView:
    """Read a study that was run, or still runs.

    Args:
        study: Its name, its run folder or its YAML file.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: No study of that name was run there.
        JournalError: Its journal is damaged.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    glance, trials = read_glance(folder, history), history.trials.values()
    return StudyView(
        glance=glance,
        history=history,
        question=read_question(history.text),
        settings=list_settings(history.text),
        cells=_find_cells(history, glance.objectives),
        curves=tuple(depth_curves(trials, glance.objectives)),
        verdicts=tuple(judge(reading.results) for reading in read_curves(history)),
        recommendation=recommend(shown_trials(trials)),
    )


def _find_cells(history: StudyHistory, objectives: Mapping[str, str]) -> tuple[CellView, ...]:
    """Cells that the study asked for last, and those that it had asked for before."""
    grouped: dict[str, list[TrialHistory]] = {
        label_values(values): [] for values in history.question.get("cells") or () if values
    }
    for trial in history.trials.values():
        if trial.cell:
            grouped.setdefault(label_values(trial.cell), []).append(trial)
    return tuple(_view_cell(label, trials, objectives) for label, trials in grouped.items())


def _view_cell(label: str, trials: list[TrialHistory], objectives: Mapping[str, str]) -> CellView:
    ranked = rank(reported_trials(trials), objectives)
    outcomes = Counter(trial.outcome or "unfinished" for trial in trials)
    return CellView(label, outcomes, ranked[0] if ranked else None)
