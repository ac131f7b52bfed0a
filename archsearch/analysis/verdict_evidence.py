"""The numbers behind a verdict, as JSON's values: cells with intervals, tests with p values, effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.curve_tests import CurveTests, Direction, Measure
from archsearch.analysis.verdict_rule import Decision
from archsearch.statistics.comparing import compare_samples
from archsearch.statistics.intervals import mean_interval, share_interval
from archsearch.statistics.trends import Trend, rank_correlation


def build_evidence(curve: CurveResults, decision: Decision) -> dict[str, Any]:
    """All that the decision rests on, and what a reader would ask for beside it.

    Keys that do not apply are left out. Errors and changes are fractions; `p` values are one-sided where they
    belong to a `test` and two-sided elsewhere.
    """
    evidence: dict[str, Any] = {
        "level": curve.level,
        "smallest_difference": curve.smallest_difference,
        "epochs": curve.epochs,
        "cells": [_cell(curve, cell) for cell in curve.cells],
    }
    tests = decision.tests
    if tests and len(tests.cells) > 1:
        evidence["tests"] = _tests(tests)
        evidence["slopes"] = {measure: _slope(tests, measure) for measure in _measures(tests)}
        evidence["equivalence"] = {"margin": curve.smallest_difference, "train_error": tests.equivalence}
        if tests.val:
            evidence["equivalence"]["val_error"] = tests.val_equivalence
    if tests and decision.trend and decision.measure:
        evidence["decisive"] = _decisive(tests, decision.measure, decision.trend)
    if decision.gradients and decision.gradients.ratio is not None:
        evidence["gradients"] = asdict(decision.gradients)
    if decision.diverged:
        evidence["diverged_depths"] = [cell.depth for cell in decision.diverged]
    if decision.rest:
        others = tuple(cell for cell in curve.cells if cell not in decision.diverged)
        rest = build_evidence(replace(curve, cells=others), decision.rest)
        evidence["other_depths"] = {"verdict": decision.rest.kind, **rest}
    return evidence


def turning_point(tests: CurveTests, measure: Measure, trend: Trend) -> tuple[int, int]:
    """Positions of the cells between which the change of a trend is largest.

    Of a rise: the lowest mean, and the highest one deeper than that; of a fall: the highest mean, and the
    lowest one deeper. Chosen by looking, so the p value of the trend, and no test between the two, counts.
    """
    samples = tests.train if measure == "train_error" else tests.val
    sign = 1.0 if trend.change >= 0 else -1.0
    means = [sign * sample.mean for sample in samples]
    pairs = [(i, j) for i in range(trend.first, trend.last) for j in range(i + 1, trend.last + 1)]
    # of equals the deepest start and the shallowest end: what lies between changes nothing
    return max(pairs, key=lambda pair: (means[pair[1]] - means[pair[0]], pair[0], -pair[1]))


def _cell(curve: CurveResults, cell: CellResults) -> dict[str, Any]:
    row: dict[str, Any] = {"depth": cell.depth, "seeds": len(cell.train_errors)}
    for measure, values, images in (
        ("train_error", cell.train_errors, None),
        ("val_error", cell.val_errors, curve.val_images),
    ):
        if values:
            row[measure] = {"values": list(values), **asdict(mean_interval(values))}
            if images:
                row[measure]["other_images"] = list(share_interval(row[measure]["mean"], images))
    row |= {name: getattr(cell, name) for name in ("diverged", "failed", "missing") if getattr(cell, name)}
    return row


def _measures(tests: CurveTests) -> tuple[Measure, ...]:
    return ("train_error", "val_error") if tests.val else ("train_error",)


def _tests(tests: CurveTests) -> list[dict[str, Any]]:
    rows = []
    directions: tuple[Direction, Direction] = ("rise", "fall")
    for measure in _measures(tests):
        margin = tests.curve.smallest_difference if measure == "val_error" else 0.0
        for direction in directions:
            for trend in tests.order(measure, direction, margin=margin):
                low, high = trend.total.interval()
                rows.append(
                    {
                        "measure": measure,
                        "direction": direction,
                        "beyond": margin,
                        "depths": tests.depths[trend.first : trend.last + 1],
                        "change": trend.change,
                        "low": low,
                        "high": high,
                        "df": trend.slope.finite_df,
                        "p": trend.p,
                        "p_adjusted": trend.p_adjusted,
                    }
                )
    return rows


def _slope(tests: CurveTests, measure: Measure) -> dict[str, Any]:
    slope = tests.order(measure, "rise")[0].slope
    low, high = slope.interval()
    tau, p = rank_correlation(tests.depths, _values(tests.cells, measure))
    return {
        "per_doubling": slope.estimate,
        "low": low,
        "high": high,
        "p": slope.p_two_sided,
        "rank_correlation": tau,
        "rank_p": p,
    }


def _decisive(tests: CurveTests, measure: Measure, trend: Trend) -> dict[str, Any]:
    samples = tests.train if measure == "train_error" else tests.val
    start, end = turning_point(tests, measure, trend)
    compared = compare_samples(samples[start], samples[end])
    return {
        "measure": measure,
        "depths": tests.depths[trend.first : trend.last + 1],
        "change": trend.change,
        "p": trend.p,
        "p_adjusted": trend.p_adjusted,
        "from_depth": tests.depths[start],
        "to_depth": tests.depths[end],
        "difference": compared.difference,
        "low": compared.low,
        "high": compared.high,
        "effect_size": compared.effect_size,
    }


def _values(cells: Sequence[CellResults], measure: Measure) -> list[tuple[float, ...]]:
    return [cell.train_errors if measure == "train_error" else cell.val_errors for cell in cells]
