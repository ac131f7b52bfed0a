"""Curves in one line of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = ".:-=+*#@"
_MISSING, _ASCII_MISSING = "×", "x"

Values = Sequence[float | None]


def span_values(curves: Iterable[Values]) -> tuple[float, float]:
    """The smallest and the largest number of some curves, which share a scale then; 0 and 0 without any."""
    numbers = [value for curve in curves for value in curve if value is not None and math.isfinite(value)]
    return (min(numbers), max(numbers)) if numbers else (0.0, 0.0)


def draw_sparkline(values: Values, span: tuple[float, float], *, ascii_only: bool = False) -> str:
    """Draw a character a value, the lowest bar for the lower end of the span.

    Args:
        values: None and what is not a number are drawn as a cross.
        span: What the lowest and the highest bar stand for.
        ascii_only: Where a terminal shows nothing else.
    """
    low, high = span
    bars, missing = (_ASCII_BARS, _ASCII_MISSING) if ascii_only else (_BARS, _MISSING)

    def draw(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return missing
        share = (value - low) / (high - low) if high > low else 0.0
        return bars[min(len(bars) - 1, int(share * len(bars)))]

    return "".join(map(draw, values))


def shorten_curve(values: Values, most: int) -> list[float | None]:
    """At most so many values: means over neighbours, of which one that is missing makes all missing."""
    if len(values) <= most:
        return list(values)
    edges = [round(place * len(values) / most) for place in range(most + 1)]
    parts = (values[start:end] for start, end in pairwise(edges))
    return [_mean(part) for part in parts]


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
