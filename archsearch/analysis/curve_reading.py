"""Curves out of a journal: the cells that agree in everything but depth, complete or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from archsearch.analysis.curve_cells import DEPTH, find_answers, label_curve, shared_values
from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.deciding_study import write_deciding_study
from archsearch.analysis.replication import look_level
from archsearch.analysis.validity import find_notes
from archsearch.analysis.wording import listed
from archsearch.journal import ReplicateHistory, StudyHistory, TrialHistory
from archsearch.study.schema import SMALLEST_DIFFERENCE

# As the training says it, see training/loop.py.
_NOT_A_NUMBER = "not a number"

# of float32
_SMALLEST = 1e-38


@dataclass(frozen=True)
class CurveReading:
    """A curve and where it comes from.

    Attributes:
        results: What its networks showed.
        shared: The swept values that its cells share, by path.
        trials: One for each of its cells, in the same order.
    """

    results: CurveResults
    shared: Mapping[str, Any]
    trials: tuple[TrialHistory, ...]

    def count_looks(self, fewest: int) -> int:
        """Count how often seeds were added to it after a look: 0 where the first look sufficed.

        A round that adds no seed to a curve looks at the same numbers again, and is no look of its own.

        Args:
            fewest: Seeds that every cell has before the first look.
        """
        return max([0, *(len(trial.seeds) - fewest for trial in self.trials)])


def read_curves(history: StudyHistory) -> list[CurveReading]:
    """Put the trials of a study into curves, in the order of their first trials.

    Only what was trained under the study's seeds counts: the trials of a sweep, or what confirms the best of
    a cell's search by now. Failed replicates count too: one that ended in what is not a number is a result.
    The smallest difference that matters, how many seeds were to be added and which depths were asked for is
    what the study said last.
    """
    grouped: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        if trial.phase != "include" and trial.outcome != "infeasible":
            grouped.setdefault(label_curve(trial), []).append(trial)
    known = sorted((t for trials in grouped.values() for t in trials), key=lambda trial: trial.number)
    answers = find_answers(known, history.header.get("objectives") or {})
    return [_curve(history, label, trials, answers) for label, trials in grouped.items()]


def _curve(
    history: StudyHistory, label: str, trials: list[TrialHistory], answers: Sequence[TrialHistory]
) -> CurveReading:
    header, question, shared = history.header, history.question, shared_values(trials[0].cell)
    searched = any(DEPTH in trial.values for trial in trials)
    chosen = _one_a_depth(trial for trial in answers if label_curve(trial) == label)
    told = chosen or trials
    results = CurveResults(
        label=label,
        family=str(trials[0].architecture["block"]),
        cells=tuple(map(read_cell, chosen)),
        epochs=max(int(trial.training["epochs"]) for trial in trials),
        swept=not searched,
        classes=_smallest(trial.classes for trial in told),
        train_images=_smallest(trial.train_images for trial in told),
        val_images=_smallest(trial.val_images for trial in told),
        confirmed=any(trial.phase != "search" for trial in trials),
        smallest_difference=question.get("smallest_difference", SMALLEST_DIFFERENCE),
        notes=(
            *_absent_depths(history, shared, chosen),
            *find_notes(chosen, header.get("identity", {}).get("search", {}), history.sessions),
        ),
    )
    if searched and "text" in question:
        deciding = write_deciding_study(question["text"], question["source"])
        results = replace(results, deciding_study=deciding)
    reading = CurveReading(results, shared, chosen)
    if "seeds" in question:
        fewest, most = question["seeds"]["fewest"], question["seeds"]["most"]
        level = look_level(reading.count_looks(fewest), most=most - fewest)
        reading = replace(reading, results=replace(results, level=level))
    return reading


def _smallest(figures: Iterable[int | None]) -> int | None:
    """The smallest of some numbers of images, so that no depth is taken for better known than it is."""
    return min((figure for figure in figures if figure is not None), default=None)


def _absent_depths(
    history: StudyHistory, shared: Mapping[str, Any], chosen: Iterable[TrialHistory]
) -> list[str]:
    """Say which depths of a curve that the study sweeps take no part in its verdict, and why."""
    here = [dict(trial.cell) for trial in chosen]
    impossible: list[int] = []
    absent: list[int] = []
    for cell in history.question.get("cells", []):
        if DEPTH not in cell or shared_values(cell) != shared or cell in here:
            continue
        trials = [trial for trial in history.trials.values() if trial.cell == cell]
        infeasible = bool(trials) and all(trial.outcome == "infeasible" for trial in trials)
        (impossible if infeasible else absent).append(cell[DEPTH])
    found = []
    if absent:
        found.append(f"Nothing was trained to the end at depth {listed(sorted(absent))} yet.")
    if impossible:
        found.append(f"No network of depth {listed(sorted(impossible))} meets what the study asks for.")
    return found


def _one_a_depth(trials: Iterable[TrialHistory]) -> tuple[TrialHistory, ...]:
    """What stands for each depth; of several cells with the same network, the first."""
    found: dict[int, TrialHistory] = {}
    for trial in trials:
        found.setdefault(int(trial.architecture["depth"]), trial)
    return tuple(found[depth] for depth in sorted(found))


def read_cell(trial: TrialHistory) -> CellResults:
    """Read what the replicates of a trial came to, however many have ended."""
    complete, diverged, failed, missing = [], 0, 0, 0
    initial, during = [], []
    for seed in trial.seeds:
        replicate = trial.replicates.get(seed)
        if replicate is None or replicate.outcome in (None, "lost"):
            missing += 1
            continue
        first, rest = _gradient_ratios(replicate)
        initial += first
        during += rest
        if _is_complete(replicate):
            complete.append(replicate)
        elif replicate.outcome == "complete" or replicate.reason.startswith(_NOT_A_NUMBER):
            diverged += 1
        else:
            failed += 1
    return CellResults(
        depth=int(trial.architecture["depth"]),
        train_errors=tuple(replicate.metrics["train_error"] for replicate in complete),
        val_errors=tuple(replicate.metrics["val_error"] for replicate in complete),
        diverged=diverged,
        failed=failed,
        missing=missing,
        initial_gradient_ratios=tuple(initial),
        gradient_ratios=tuple(during),
    )


def _gradient_ratios(replicate: ReplicateHistory) -> tuple[list[float], list[float]]:
    """Ratio before the first step, and the geometric mean over the later epochs; empty where not recorded."""
    # One that broke in its first epoch tells it at its end.
    ratios = [metrics.get("gradient_ratio") for metrics in replicate.epochs or (replicate.metrics,)]
    initial = [ratio for ratio in ratios[:1] if ratio is not None]
    later = [ratio for ratio in ratios[1:] if ratio is not None]
    # 0 is what is too small for a float
    during = [math.exp(fmean(math.log(max(ratio, _SMALLEST)) for ratio in later))] if later else []
    return initial, during


def _is_complete(replicate: ReplicateHistory) -> bool:
    errors = [replicate.metrics.get(name, math.nan) for name in ("train_error", "val_error")]
    return replicate.outcome == "complete" and all(map(math.isfinite, errors))
