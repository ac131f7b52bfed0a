"""What a study's results show."""

from archsearch.analysis.comparisons import CellComparison, compare_curves
from archsearch.analysis.curve_reading import CurveReading, read_curves
from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.depth_curve import MEASURES, DepthCurve, DepthPoint, depth_curves
from archsearch.analysis.recommendation import Recommendation, recommend
from archsearch.analysis.replication import cells_to_replicate, look_level
from archsearch.analysis.verdict import Verdict, judge

__all__ = [
    "MEASURES",
    "CellComparison",
    "CellResults",
    "CurveReading",
    "CurveResults",
    "DepthCurve",
    "DepthPoint",
    "Recommendation",
    "Verdict",
    "cells_to_replicate",
    "compare_curves",
    "depth_curves",
    "judge",
    "look_level",
    "read_curves",
    "recommend",
]
