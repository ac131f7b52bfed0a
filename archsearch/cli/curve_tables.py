"""Depth curves: as sparklines, and point by point."""

from __future__ import annotations

import math
from collections.abc import Sequence

import click

from archsearch.analysis import MEASURES, DepthCurve, DepthPoint, Verdict
from archsearch.cli.measures import name_measure, show_measure
from archsearch.cli.printing import build_console, print_paragraph, print_table
from archsearch.cli.sparkline import draw_sparkline, span_values

_LISTED_DEPTHS = 6


def print_sparklines(curves: Sequence[DepthCurve]) -> None:
    """Print each curve as a line of bars, of the best network of each depth; nothing of a single depth."""
    best = {curve.label: _best_of_each_depth(curve) for curve in curves}
    if max((len(points) for points in best.values()), default=0) < 2:
        return
    shown = [point for points in best.values() for point in points]
    measures = [name for name in MEASURES if any(name in point.errors for point in shown)]
    lines = {
        name: _draw([[_mean(point, name) for point in points] for points in best.values()], name)
        for name in measures
    }
    rows = []
    for place, (label, points) in enumerate(best.items()):
        head = [label, _list_depths(points)]
        # the test set is read for few of them
        for name in (name for name in measures if any(name in point.errors for point in points)):
            rows.append([*head, name_measure(name), *lines[name][place]])
            head = ["", ""]
    click.echo()
    title = "From the shallowest network to the deepest (one scale for each kind of error)"
    print_table(["curve", "depth", "", "", "first", "last"], rows, title=title)


def print_points(curves: Sequence[DepthCurve], *, title: str) -> None:
    """Print a row for each network of the curves."""
    rows = [
        [
            curve.label,
            str(point.depth),
            f"{point.parameters:,}",
            *(_error(point, name) for name in MEASURES),
            str(max(map(len, point.errors.values()), default=0)),
        ]
        for curve in curves
        for point in curve.points
    ]
    header = ["curve", "depth", "parameters", *map(name_measure, MEASURES), "seeds"]
    print_table(header, rows, title=title)


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print what each curve shows, a paragraph each."""
    for verdict in verdicts:
        click.echo()
        print_paragraph(verdict.sentence)


def _best_of_each_depth(curve: DepthCurve) -> list[DepthPoint]:
    found: dict[int, DepthPoint] = {}
    for point in curve.points:
        known = found.get(point.depth)
        if known is None or _val_error(point) < _val_error(known):
            found[point.depth] = point
    return [found[depth] for depth in sorted(found)]


def _val_error(point: DepthPoint) -> float:
    error = _mean(point, "val_error")
    return math.inf if error is None else error


def _mean(point: DepthPoint, measure: str) -> float | None:
    return point.mean(measure) if measure in point.errors else None


def _error(point: DepthPoint, measure: str) -> str:
    return show_measure(measure, point.mean(measure), point.std(measure)) if measure in point.errors else ""


def _draw(curves: Sequence[Sequence[float | None]], measure: str) -> list[tuple[str, str, str]]:
    """Each curve as bars, its first and its last value."""
    span, ascii_only = span_values(curves), build_console().options.ascii_only
    lines = []
    for values in curves:
        known = [show_measure(measure, value) for value in values if value is not None]
        first, last = (known[0], known[-1]) if known else ("", "")
        lines.append((draw_sparkline(values, span, ascii_only=ascii_only), first, last))
    return lines


def _list_depths(points: Sequence[DepthPoint]) -> str:
    depths = [str(point.depth) for point in points]
    return ", ".join(depths) if len(depths) <= _LISTED_DEPTHS else f"{depths[0]} to {depths[-1]}"
