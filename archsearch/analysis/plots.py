"""Pictures of depth curves; readable in black and white by marker and line style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from archsearch.analysis.depth_curve import DepthCurve

# Okabe and Ito's colours, told apart by colour-blind people too; one a family.
COLOURS = {
    "plain": "#D55E00",
    "residual": "#0072B2",
    "dense": "#009E73",
    "highway": "#CC79A7",
    "grouped": "#E69F00",
}
OTHER_COLOUR = "#000000"
# Markers and lines, none of which is like another: more curves than these are drawn without a name each.
Style = tuple[str, str | tuple[float, tuple[float, ...]]]
STYLES: tuple[Style, ...] = (
    ("o", "-"),
    ("s", "--"),
    ("^", "-."),
    ("D", ":"),
    ("v", (0, (6, 1.5))),
    ("P", (0, (4, 1.5, 1, 1.5, 1, 1.5))),
    ("X", (0, (2, 1))),
    ("p", (0, (8, 2, 2, 2))),
    ("<", (0, (1, 3))),
    ("h", (0, (5, 4))),
    (">", (0, (3, 1, 1, 1))),
    ("*", (0, (10, 3))),
)
# More would overlap.
_MOST_TICKS = 12
# Of a legend, in inches at its font size of 8.
_ROW_IN, _HANDLE_IN, _LETTER_IN = 0.2, 0.6, 0.065
_MOST_COLUMNS = 4
_PANELS = {"train_error": "training error (evaluation mode)", "val_error": "validation error"}


def draw_depth_curves(curves: Sequence[DepthCurve], title: str) -> Figure:
    """Draw training and validation error against depth, side by side on one scale.

    Points are means over seeds; bars and bands reach one sample standard deviation to each side; small dots
    are seeds; a cross at the top marks a depth of which seeds failed. Of many curves the best are drawn.
    """
    curves = most_telling(curves)
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (measure, label) in zip(panels, _PANELS.items(), strict=True):
        for curve, style in zip(curves, cycle(STYLES), strict=False):
            _draw_curve(axes, curve, measure, style)
        depths = sorted({point.depth for curve in curves for point in curve.points})
        if len(depths) <= _MOST_TICKS:
            axes.set_xticks(depths)
        axes.set_xlabel("depth (weighted layers)")
        axes.set_title(label, fontsize=10)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error")
    # The scale is shared: set before all is drawn, it would cut what is drawn later.
    panels[0].set_ylim(bottom=0)
    add_legend(figure, panels[0])
    figure.suptitle(literally(title), fontsize=11)
    return figure


def literally(text: str) -> str:
    """Return a label that is drawn as it is: what stands between dollars would be read as mathematics."""
    return text.replace("$", r"\$")


def add_legend(figure: Figure, axes: Axes) -> None:
    """Name below all panels what one of them shows, in as many columns as fit; makes the figure higher."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    widest = _HANDLE_IN + _LETTER_IN * max(map(len, labels))
    columns = max(1, min(_MOST_COLUMNS, len(labels), int(figure.get_figwidth() / widest)))
    rows = -(-len(labels) // columns)
    columns = -(-len(labels) // rows)
    figure.set_figheight(figure.get_figheight() + _ROW_IN * max(0, rows - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def most_telling(curves: Sequence[DepthCurve]) -> list[DepthCurve]:
    """Of more curves than can be told apart those that reach the lowest validation error, order kept."""
    if len(curves) <= len(STYLES):
        return list(curves)
    best = sorted(curves, key=_lowest)[: len(STYLES)]
    return [curve for curve in curves if curve in best]


def _lowest(curve: DepthCurve) -> float:
    return min((p.mean("val_error") for p in curve.points if "val_error" in p.errors), default=math.inf)


def _draw_curve(axes: Axes, curve: DepthCurve, measure: str, style: Style) -> None:
    broken = [point.depth for point in curve.points if point.failed]
    colour = COLOURS.get(curve.family, OTHER_COLOUR)
    if broken:
        at_top = axes.get_xaxis_transform()
        axes.plot(broken, [0.97] * len(broken), "x", color=colour, transform=at_top, clip_on=False)
    points = [point for point in curve.points if measure in point.errors]
    marker, line = style
    axes.errorbar(
        [point.depth for point in points],
        [point.mean(measure) for point in points],
        yerr=[point.std(measure) or 0 for point in points],
        color=colour,
        marker=marker,
        linestyle=line if curve.joined else "none",
        markersize=5 if curve.joined else 3,
        capsize=3,
        label=literally(curve.label),
    )
    if curve.joined and len(points) > 1:
        means = [point.mean(measure) for point in points]
        spreads = [point.std(measure) or 0 for point in points]
        axes.fill_between(
            [point.depth for point in points],
            [max(0.0, mean - spread) for mean, spread in zip(means, spreads, strict=True)],
            [mean + spread for mean, spread in zip(means, spreads, strict=True)],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    for point in points:
        if len(point.errors[measure]) > 1:
            seeds = point.errors[measure]
            axes.plot([point.depth] * len(seeds), seeds, ".", color=colour, alpha=0.4, markersize=4)
