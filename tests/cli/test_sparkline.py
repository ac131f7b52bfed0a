"""Curves in one line."""

from __future__ import annotations

import math

import pytest

from archsearch.cli.sparkline import draw_sparkline, shorten_curve, span_values


def test_bars_go_from_the_lowest_to_the_highest_value() -> None:
    assert draw_sparkline([0, 1, 2, 3, 4, 5, 6, 7], (0, 7)) == "▁▂▃▄▅▆▇█"
    assert draw_sparkline([1.0, 0.5, 0.0], (0, 1)) == "█▅▁"


def test_curves_share_a_scale() -> None:
    span = span_values([[0.2, 0.4], [None, 0.9, math.nan, math.inf]])

    assert span == (0.2, 0.9)
    assert draw_sparkline([0.2, 0.4], span) == "▁▃"


def test_what_is_missing_is_a_cross_and_what_does_not_change_is_low() -> None:
    assert draw_sparkline([1, None, math.nan, 1], (1, 1)) == "▁××▁"
    assert draw_sparkline([], span_values([])) == ""


def test_it_does_without_other_characters_than_ascii() -> None:
    line = draw_sparkline([None, *range(8)], (0, 7), ascii_only=True)

    assert line.isascii()
    assert len(set(line)) == 9


@pytest.mark.parametrize("most", [1, 3, 40])
def test_long_curves_become_means_over_neighbours(most: int) -> None:
    values = [float(value) for value in range(100)]

    short = shorten_curve(values, most)

    assert len(short) == most
    assert short == sorted(short)
    assert sum(short) / most == pytest.approx(49.5, abs=1)


def test_a_short_curve_stays_and_a_gap_stays_a_gap() -> None:
    assert shorten_curve([1.0, None], 2) == [1.0, None]
    assert shorten_curve([1.0, 2.0, None, 4.0], 2) == [1.5, None]
