"""The picture shows the numbers: read back from matplotlib's own objects, and from the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from archsearch.analysis import depth_curves
from archsearch.analysis.plots import STYLES, draw_depth_curves
from archsearch.journal import ReplicateHistory
from tests.analysis.trials import cell, trial


def errors(*values: float) -> dict[int, dict[str, float]]:
    return {seed: {"train_error": value, "val_error": value + 0.1} for seed, value in enumerate(values)}


@pytest.fixture
def figure() -> Figure:
    """The drawn figure of a plain and a residual curve, and a baseline."""
    trials = [
        trial(0, 20, errors(0.4, 0.6), cell=cell("plain", 20)),
        trial(1, 8, errors(0.1, 0.3), cell=cell("plain", 8)),
        trial(2, 8, errors(0.2, 0.2), block="residual", cell=cell("residual", 8)),
        trial(3, 32, errors(0.25), block="residual", phase="include", name="resnet32"),
    ]
    return draw_depth_curves(depth_curves(trials), "a title")


def lines(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float], str]]:
    containers = figure.axes[panel].containers
    found = {}
    for container in containers:
        line = container.lines[0]
        found[container.get_label()] = (list(line.get_xdata()), list(line.get_ydata()), line.get_linestyle())
    return found


def test_training_and_validation_error_stand_side_by_side_on_one_scale(figure: Figure) -> None:
    training, validation = figure.axes

    assert training.get_title().startswith("training error")
    assert validation.get_title() == "validation error"
    assert training.get_ylim() == validation.get_ylim()
    assert training.get_ylim()[0] == 0
    assert {axes.get_xlabel() for axes in figure.axes} == {"depth (weighted layers)"}
    assert list(training.get_xticks()) == [8, 20, 32]


def test_points_are_means_over_seeds_and_only_a_sweeps_are_joined(figure: Figure) -> None:
    for panel, more in ((0, 0.0), (1, 0.1)):
        drawn = lines(figure, panel)
        assert set(drawn) == {"block=plain", "block=residual", "baseline resnet32"}
        depths, means, style = drawn["block=plain"]
        assert depths == [8, 20]
        assert means == pytest.approx([0.2 + more, 0.5 + more])
        assert style != "None"
        assert drawn["baseline resnet32"][2] == "None"


def test_curves_differ_in_marker_and_families_in_colour(figure: Figure) -> None:
    drawn = {c.get_label(): c.lines[0] for c in figure.axes[0].containers}

    assert len({line.get_marker() for line in drawn.values()}) == 3
    plain, residual = drawn["block=plain"], drawn["block=residual"]
    assert to_rgb(plain.get_color()) != to_rgb(residual.get_color())
    assert to_rgb(residual.get_color()) == to_rgb(drawn["baseline resnet32"].get_color())


def test_each_family_has_a_marker_and_a_line_of_its_own_and_so_have_curves_of_one_family() -> None:
    blocks = ["plain", "residual", "dense", "highway", "grouped"]
    families = [
        trial(n, 8, errors(0.1, 0.2), block=block, cell=cell(block, 8)) for n, block in enumerate(blocks)
    ]
    widths = [
        trial(n, 8, errors(0.01 * n, 0.02 * n), cell=cell("plain", 8, **{"architecture.width": n}))
        for n in range(1, 31)
    ]
    for trials, shown in ((families, 5), (widths, len(STYLES))):
        drawn = [c.lines[0] for c in draw_depth_curves(depth_curves(trials), "a title").axes[1].containers]
        assert len({line.get_marker() for line in drawn}) == len(drawn) == shown
    # of too many, those with the lowest error
    labels = {c.get_label() for c in draw_depth_curves(depth_curves(widths), "").axes[1].containers}
    assert labels == {f"block=plain width={n}" for n in range(1, len(STYLES) + 1)}


def test_a_cross_at_the_top_marks_where_seeds_failed() -> None:
    one = trial(0, 8, errors(0.1, 0.2), cell=cell("plain", 8))
    broken = replace(
        trial(1, 20, errors(0.1), cell=cell("plain", 20)), outcome="failed", objective_values=None
    )
    failed = ReplicateHistory(1, outcome="failed", reason="not a number in epoch 2")
    broken = replace(broken, replicates={**broken.replicates, 1: failed})

    for axes in draw_depth_curves(depth_curves([one, broken]), "a title").axes:
        (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
        assert list(crosses.get_xdata()) == [20]
        assert crosses.get_transform() == axes.get_xaxis_transform()


def test_the_file_is_a_picture_with_something_on_it(figure: Figure, tmp_path: Path) -> None:
    figure.savefig(tmp_path / "curve.png", dpi=150)
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        assert np.asarray(picture.convert("L")).std() > 5
