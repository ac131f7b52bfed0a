"""Pictures of depth curves; readable in black and white by marker and line style."""

from __future__ import annotations

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
STYLES = (("o", "-"), ("s", "--"), ("^", "-."), ("D", ":"))
# More would overlap.
_MOST_TICKS = 12
_PANELS = {"train_error": "training error (evaluation mode)", "val_error": "validation error"}


def draw_depth_curves(curves: Sequence[DepthCurve], title: str) -> Figure:
    """Draw training and validation error against depth, side by side on one scale.

    Points are means over seeds; bars and bands reach one sample standard deviation to each side; small dots
    are seeds.
    """
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
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_curve(axes: Axes, curve: DepthCurve, measure: str, style: tuple[str, str]) -> None:
    points = [point for point in curve.points if measure in point.errors]
    colour = COLOURS.get(curve.family, OTHER_COLOUR)
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
        label=curve.label,
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
