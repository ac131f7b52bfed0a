"""The pictures of a report; readable in black and white by marker and line style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from PIL import Image

from archsearch.analysis.depth_curve import DepthCurve, DepthPoint
from archsearch.analysis.plots import (
    COLOURS,
    OTHER_COLOUR,
    STYLES,
    add_legend,
    draw_depth_curves,
    literally,
    most_telling,
)
from archsearch.journal import ReplicateHistory, StudyHistory, TrialHistory
from archsearch.statistics.fronts import pareto_indices

# More lines than these cannot be told apart; the first and the last are kept.
_MOST_LINES, _MOST_LINES_IN_ALL = 6, 24
_FAINTEST, _DARKEST = 0.35, 1.0
_MOST_TICKS = 9
# Not even two powers of ten stand on such a scale: it has few marks, at round numbers.
_NARROW, _FEW_TICKS = 10, 4
# A search has many points, which lie upon each other.
_CROWDED = 0.6

Item = TypeVar("Item")

_COSTS = {
    "parameters": "parameters",
    "macs": "multiply-accumulates an image",
    "latency_ms": "latency of an image (ms)",
}
_SIGNALS = {
    "gradient_norm": "gradient by the layer's\nresponse (L2 norm)",
    "response_std": "standard deviation of\nthe layer's response",
    "update_ratio": "a step's update over the\nlayer's weights",
    "dead_frac": "channels of a rectifier\nthat no image activates",
    "gate_openness": "openness of the gates",
}
# Shares, of which 0 is one; the others span orders of magnitude.
_SHARES = ("dead_frac", "gate_openness")
_ROW_HEIGHT_IN = 2.4
_DPI = 150


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: Of its file, without the ending.
        heading: Above it.
        caption: Below it: how to read it.
        description: What it shows, for those who do not see it.
        figure: The figure.
    """

    name: str
    heading: str
    caption: str
    description: str
    figure: Figure

    def save(self, folder: Path) -> Path:
        """Save it as a PNG, and at half its width below ``small``; returns the path of the first."""
        path, small = folder / f"{self.name}.png", folder / "small"
        self.figure.savefig(path, dpi=_DPI)
        small.mkdir(exist_ok=True)
        with Image.open(path) as drawn:
            # For MLflow, which shows a picture in its own size; to draw it again would take longer.
            half = drawn.resize((drawn.width // 2, drawn.height // 2), Image.Resampling.LANCZOS)
        half.save(small / path.name)
        return path


def draw_pictures(history: StudyHistory, curves: Sequence[DepthCurve]) -> list[Picture]:
    """Draw all that a study's results suffice for."""
    name = history.header["name"]
    drawn_curves = most_telling(curves)
    left_out = len(curves) - len(drawn_curves)
    only = f" Of {len(curves)} curves the {len(drawn_curves)} with the lowest validation error." * bool(
        left_out
    )
    drawn = [
        (
            "depth_curve",
            "Depth against error",
            "Points are means over seeds, bars and bands one sample standard deviation to each side, small "
            "dots the seeds; a cross at the top marks a depth of which seeds failed. Training error that "
            "rises with depth is degradation; validation error that rises alone is overfitting.",
            _describe_errors(drawn_curves),
            draw_depth_curves(drawn_curves, f"{name}: depth against error on {data_name(history)}"),
        ),
        (
            "costs",
            "Error against cost",
            "The line is the Pareto front: no network has both a smaller error and a smaller cost. Numbers "
            "are depths.",
            _describe_costs(curves),
            draw_costs(drawn_curves),
        ),
        (
            "learning_curves",
            "Learning curves",
            "Means over seeds; the darker, the deeper.",
            _describe_learning(drawn_curves, history.trials),
            draw_learning(drawn_curves, history.trials),
        ),
        (
            "profiles",
            "Signals along the depth",
            "Where gradients fall by orders of magnitude towards the input, the first layers learn nothing; "
            "where responses fall towards the output, nothing arrives there. Dead channels pass nothing on, "
            "and a closed gate carries its input past the branch. The darker, the deeper.",
            _describe_profiles(drawn_curves, history.trials),
            draw_profiles(drawn_curves, history.trials),
        ),
    ]
    return [
        Picture(name, heading, caption + only, f"{heading}. {description}", _lay_out(figure))
        for name, heading, caption, description, figure in drawn
        if figure is not None
    ]


def _lay_out(figure: Figure) -> Figure:
    """Lay a figure out once: by itself it does so twice for each file that it is saved in."""
    # What it then knows of each text it knows for the PNG too.
    figure.set_dpi(_DPI)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)
    return figure


def data_name(history: StudyHistory) -> str:
    """The name of a study's data, or of its folder of images; a proposal that was not built has none."""
    data = next((trial.data for trial in history.trials.values() if trial.data), {})
    name = str(data.get("name", ""))
    return (Path(str(data["root"])).name if name == "image_folder" else "") or name


def _describe_errors(curves: Sequence[DepthCurve]) -> str:
    """Say the curves in words: the figures in full are in the table."""
    parts = []
    for curve in curves:
        for measure, name in (("train_error", "training error"), ("val_error", "validation error")):
            shown = _thin([point for point in curve.points if measure in point.errors])
            values = ", ".join(f"depth {p.depth}: {p.mean(measure):.1%}" for p in shown)
            parts.append(f"{curve.label}, {name} by depth: {values}.")
    return " ".join(parts)


def _describe_costs(curves: Sequence[DepthCurve]) -> str:
    """Say the front of error and parameters in words."""
    points = [(curve, point) for curve in curves for point in curve.points if "val_error" in point.errors]
    front = pareto_indices([(point.mean("val_error"), point.parameters) for _, point in points])
    cheapest_first = sorted((points[place] for place in front), key=lambda found: found[1].parameters)
    named = [
        f"{curve.label} depth {point.depth}, {point.parameters:,} parameters, validation error "
        f"{point.mean('val_error'):.1%}"
        for curve, point in _thin(cheapest_first)
    ]
    return f"On the front of parameters: {'; '.join(named)}."


def _describe_learning(curves: Sequence[DepthCurve], trials: Mapping[int, TrialHistory]) -> str:
    """Say where the training loss of each line begins and ends."""
    parts = []
    for curve, point, _ in _lines(curves):
        losses = _mean_by_epoch(list(trials[point.trial].replicates.values()), "train_loss")
        if losses:
            parts.append(f"{curve.label} depth {point.depth}: from {losses[0]:.3g} to {losses[-1]:.3g}.")
    return f"Training loss from the first epoch to the last. {' '.join(parts)}"


def _describe_profiles(curves: Sequence[DepthCurve], trials: Mapping[int, TrialHistory]) -> str:
    """Say the gradients at both ends of each network."""
    parts = []
    for curve, point, _ in _lines(curves):
        replicates = list(trials[point.trial].replicates.values())
        ends = []
        for last, when in ((False, "as initialised"), (True, "at the last watched epoch")):
            values = _mean_profile(replicates, "gradient_norm", last=last)
            if values:
                ends.append(f"{when} {values[0]:.2g} at the input and {values[-1]:.2g} at the output")
        if ends:
            parts.append(f"{curve.label} depth {point.depth}: {', '.join(ends)}.")
    return f"Gradient norms. {' '.join(parts)}"


def draw_costs(curves: Sequence[DepthCurve]) -> Figure | None:
    """Draw validation error against each cost, with its Pareto front; None without points."""
    points = [(curve, point) for curve in curves for point in curve.points if "val_error" in point.errors]
    if not points:
        return None
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    costs = [cost for cost in _COSTS if all(getattr(point, cost) is not None for _, point in points)]
    panels = figure.subplots(1, len(costs), sharey=True)
    for axes, cost in zip(panels, costs, strict=True):
        for curve, style in zip(curves, cycle(STYLES), strict=False):
            shown = [point for point in curve.points if "val_error" in point.errors]
            axes.plot(
                [getattr(point, cost) for point in shown],
                [point.mean("val_error") for point in shown],
                color=_colour(curve),
                marker=style[0],
                linestyle="none",
                markersize=5 if curve.joined else 3,
                alpha=1 if curve.joined else _CROWDED,
                label=literally(curve.label),
            )
        front = pareto_indices([(point.mean("val_error"), getattr(point, cost)) for _, point in points])
        best = sorted(
            (getattr(points[i][1], cost), points[i][1].mean("val_error"), points[i][1].depth) for i in front
        )
        axes.step(
            [x for x, _, _ in best], [y for _, y, _ in best], where="post", color="black", linewidth=0.8
        )
        for x, y, depth in _thin(best):
            axes.annotate(str(depth), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        wide = LogLocator(subs=(1, 2, 5), numticks=_MOST_TICKS)
        axes.xaxis.set_major_locator(MaxNLocator(_FEW_TICKS) if _is_narrow(axes.get_xlim()) else wide)
        # Milliseconds have a prefix already.
        axes.xaxis.set_major_formatter("{x:g}" if cost == "latency_ms" else EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(_COSTS[cost])
        _tidy(axes)
    panels[0].set_ylabel("validation error")
    panels[0].yaxis.set_major_formatter(PercentFormatter(xmax=1))
    add_legend(figure, panels[0])
    return figure


def draw_learning(curves: Sequence[DepthCurve], trials: Mapping[int, TrialHistory]) -> Figure | None:
    """Draw training loss and validation error by epoch, a line for each network, the darker the deeper."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    loss, error = figure.subplots(1, 2)
    drawn = False
    for curve, point, look in _lines(curves):
        replicates = trials[point.trial].replicates.values()
        for axes, measure in ((loss, "train_loss"), (error, "val_error")):
            values = _mean_by_epoch(list(replicates), measure)
            axes.plot(
                range(1, len(values) + 1),
                values,
                **look,
                label=literally(f"{curve.label} depth={point.depth}"),
            )
            drawn = drawn or bool(values)
    _scale_by_log(loss)
    loss.set_ylabel("training loss")
    error.set_ylabel("validation error")
    error.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    for axes in (loss, error):
        axes.set_xlabel("epoch")
        _tidy(axes)
    add_legend(figure, loss)
    return figure if drawn else None


def draw_profiles(curves: Sequence[DepthCurve], trials: Mapping[int, TrialHistory]) -> Figure | None:
    """Draw each signal that was seen along the depth, as initialised and later; None where none was."""
    seen = {
        signal
        for trial in trials.values()
        for replicate in trial.replicates.values()
        for profile in replicate.profiles.values()
        for signal in profile
    }
    signals = [signal for signal in _SIGNALS if signal in seen]
    if not signals:
        return None
    figure = Figure(figsize=(9, 1 + _ROW_HEIGHT_IN * len(signals)), layout="constrained")
    grid = figure.subplots(len(signals), 2, sharex=True, sharey="row", squeeze=False)
    for curve, point, look in _lines(curves):
        replicates = list(trials[point.trial].replicates.values())
        for row, signal in zip(grid, signals, strict=True):
            for axes, last in zip(row, (False, True), strict=True):
                values = _mean_profile(replicates, signal, last=last)
                places = [(i + 0.5) / len(values) for i in range(len(values))]
                axes.plot(places, values, **look, label=literally(f"{curve.label} depth={point.depth}"))
    for row, signal in zip(grid, signals, strict=True):
        row[0].set_ylabel(_SIGNALS[signal], fontsize=9)
        for axes in row:
            if signal in _SHARES:
                axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
            else:
                _scale_by_log(axes)
            _tidy(axes)
    grid[0][0].set_title("as initialised", fontsize=10)
    grid[0][1].set_title("at the last watched epoch", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("place in the network, from input to output")
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    add_legend(figure, grid[0][0])
    return figure


def _lines(curves: Sequence[DepthCurve]) -> Iterator[tuple[DepthCurve, DepthPoint, dict[str, Any]]]:
    """The networks that are drawn as lines, of each curve its depths, each with its look."""
    most = max(2, min(_MOST_LINES, _MOST_LINES_IN_ALL // max(1, len(curves))))
    for curve, style in zip(curves, cycle(STYLES), strict=False):
        one_a_depth = list({point.depth: point for point in reversed(curve.points)}.values())[::-1]
        shown = _thin(one_a_depth, most)
        for index, point in enumerate(shown):
            alpha = _FAINTEST + (_DARKEST - _FAINTEST) * (index + 1) / len(shown)
            yield (
                curve,
                point,
                {"color": _colour(curve), "linestyle": style[1], "alpha": alpha, "linewidth": 1.3},
            )


def _thin(points: Sequence[Item], most: int = _MOST_LINES) -> list[Item]:
    if len(points) <= most:
        return list(points)
    places = {round(i * (len(points) - 1) / (most - 1)) for i in range(most)}
    return [points[place] for place in sorted(places)]


def _mean_by_epoch(replicates: Sequence[ReplicateHistory], measure: str) -> list[float]:
    """Mean over the seeds, as far as any of them came."""
    longest = max((len(replicate.epochs) for replicate in replicates), default=0)
    means = []
    for epoch in range(longest):
        values = [r.epochs[epoch].get(measure, math.nan) for r in replicates if epoch < len(r.epochs)]
        means.append(fmean(values))
    return means


def _mean_profile(replicates: Sequence[ReplicateHistory], signal: str, *, last: bool) -> list[float]:
    found = []
    for replicate in replicates:
        epochs = [epoch for epoch in replicate.profiles if (epoch > 0 if last else epoch == 0)]
        if epochs:
            values = replicate.profiles[max(epochs)].get(signal)
            found += [values] if values else []
    columns = list(zip(*found, strict=True))
    means = map(fmean, columns)
    # what is 0 has no place on a logarithmic scale
    return list(means) if signal in _SHARES else [mean or math.nan for mean in means]


def _colour(curve: DepthCurve) -> str:
    return COLOURS.get(curve.family, OTHER_COLOUR)


def _scale_by_log(axes: Axes) -> None:
    """Scale what is drawn by its logarithm; of less than a decade the marks are plain numbers."""
    axes.set_yscale("log")
    if _is_narrow(axes.get_ylim()):
        axes.yaxis.set_major_locator(MaxNLocator(_FEW_TICKS))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())


def _is_narrow(limits: tuple[float, float]) -> bool:
    return limits[1] < _NARROW * limits[0]


def _tidy(axes: Axes) -> None:
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_yscale() == "log":
        # Of nine marks a decade, each of which takes its time, two are enough.
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
