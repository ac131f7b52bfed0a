"""What is drawn is what was measured: costs with their front, signals with a row each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archsearch.analysis import depth_curves
from archsearch.analysis.report_plots import draw_costs, draw_profiles
from archsearch.journal import TrialHistory
from tests.analysis.trials import cell, trial


def panels(figure: Figure | None) -> list[Axes]:
    assert figure is not None
    return list(figure.axes)


def points(axes: Axes) -> list[tuple[float, float]]:
    """Those of all lines without a line between them: one a network."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None"]
    return sorted((float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True))


def timed(number: int, depth: int, error: float, latency_ms: float | None) -> TrialHistory:
    measures = {"val_error": error, **({} if latency_ms is None else {"latency_ms": latency_ms})}
    return trial(number, depth, {0: measures}, cell=cell("plain", depth))


def test_error_is_drawn_against_each_cost_that_is_known_of_all() -> None:
    networks = [timed(0, 8, 0.2, 1.0), timed(1, 20, 0.1, 3.0), timed(2, 56, 0.3, 9.0)]
    parameters, macs, latency = panels(draw_costs(depth_curves(networks)))
    assert points(parameters) == [(8000, 0.2), (20_000, 0.1), (56_000, 0.3)]
    assert points(macs) == [(80, 0.2), (200, 0.1), (560, 0.3)]
    assert points(latency) == [(1, 0.2), (3, 0.1), (9, 0.3)]
    (front,) = [line for line in latency.lines if line.get_linestyle() == "-"]
    assert list(zip(*front.get_data(), strict=True)) == [(1.0, 0.2), (3.0, 0.1)]

    assert len(panels(draw_costs(depth_curves([*networks, timed(3, 110, 0.3, None)])))) == 2


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_costs([]) is None
    assert draw_profiles([], {}) is None


def watched(number: int, depth: int, *profiles: dict[int, dict[str, Any]]) -> TrialHistory:
    errors = {seed: {"val_error": 0.1} for seed in range(len(profiles))}
    one = trial(number, depth, errors, cell=cell("highway", depth))
    replicates = {
        seed: replace(one.replicates[seed], profiles=profile) for seed, profile in enumerate(profiles)
    }
    return replace(one, replicates=replicates)


def test_each_signal_that_was_seen_has_a_row_of_its_means_first_and_last() -> None:
    first = {
        0: {"gradient_norm": (1.0, 2.0), "gate_openness": (0.1, 0.2)},
        4: {"gradient_norm": (5.0, 5.0), "gate_openness": (0.0, 0.5)},
        9: {"gradient_norm": (3.0, 0.0), "gate_openness": (0.0, 0.6)},
    }
    second = {
        0: {"gradient_norm": (3.0, 4.0), "gate_openness": (0.3, 0.4)},
        9: {"gradient_norm": (5.0, 0.0), "gate_openness": (0.0, 0.8)},
    }
    one = watched(0, 8, first, second)
    gradients_first, gradients_last, gates_first, gates_last = panels(
        draw_profiles(depth_curves([one]), {0: one})
    )

    def drawn(axes: Axes) -> list[float]:
        (line,) = axes.lines
        assert list(line.get_xdata()) == [0.25, 0.75]
        return [float(value) for value in line.get_ydata()]

    assert drawn(gradients_first) == [2.0, 3.0]
    least, nothing = drawn(gradients_last)
    assert least == 4.0
    assert math.isnan(nothing)  # what is 0 has no place on a logarithmic scale
    assert gradients_last.get_yscale() == "log"
    assert drawn(gates_first) == pytest.approx([0.2, 0.3])
    assert drawn(gates_last) == pytest.approx([0.0, 0.7])
    assert gates_last.get_yscale() == "linear"
    assert "openness" in gates_first.get_ylabel()
