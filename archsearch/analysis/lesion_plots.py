"""The picture of a lesion study; readable in black and white by marker and line style."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from archsearch.analysis.lesion import LesionedNetwork
from archsearch.analysis.plots import COLOURS, OTHER_COLOUR, STYLES, add_legend, literally


def plot_lesions(networks: Sequence[LesionedNetwork], title: str, path: Path) -> None:
    """Draw the error after removing one block, several, after exchanges; and the gradient by path length."""
    with_paths = any(network.paths for network in networks)
    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(2, 2).flat
    one, several, order, gradient = panels
    for network, style in zip(networks, cycle(STYLES), strict=False):
        look: dict[str, Any] = {
            "color": COLOURS.get(network.family, OTHER_COLOUR),
            "marker": style[0],
            "linestyle": style[1],
            "markersize": 4,
            "label": network.label,
        }
        _draw_single(one, network, look)
        _draw_random(several, network, look)
        _draw_order(order, network, look)
        if network.paths:
            lengths = [found.length for found in network.paths]
            gradient.plot(lengths, [found.gradient_frac for found in network.paths], **look)
            gradient.plot(
                lengths, [found.paths_frac for found in network.paths], color=look["color"], linestyle=":"
            )
    for axes in (one, several, order):
        chance = max(network.chance_error for network in networks)
        axes.axhline(chance, color="grey", linewidth=0.8, linestyle=(0, (1, 3)))
        axes.annotate(
            "chance",
            (1, chance),
            xycoords=("axes fraction", "data"),
            xytext=(2, -3),
            textcoords="offset points",
            fontsize=8,
            color="grey",
        )
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.set_ylabel("validation error")
    one.set_xlabel("block that was removed (hollow: it changes the dimensions)")
    several.set_xlabel("share of the removable blocks that were removed at random")
    several.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    order.set_xlabel("block that changed places with the next one")
    gradient.set_xlabel("length of the path (branches); dotted: share of all paths")
    gradient.set_ylabel("share of the gradient")
    if not with_paths:
        gradient.set_axis_off()
    for axes in panels:
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    add_legend(figure, one)
    figure.suptitle(literally(title), fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _draw_single(axes: Axes, network: LesionedNetwork, look: dict[str, Any]) -> None:
    found = network.study.of("remove")
    axes.plot([lesion.blocks[0] for lesion in found], [lesion.error for lesion in found], **look)
    hollow = [lesion for lesion in found if lesion.blocks[0] in network.study.changing]
    axes.plot(
        [lesion.blocks[0] for lesion in hollow],
        [lesion.error for lesion in hollow],
        **{**look, "linestyle": "none", "markerfacecolor": "white", "markersize": 8, "label": None},
    )
    axes.axhline(network.study.error, color=look["color"], linewidth=0.8, alpha=0.6)


def _draw_random(axes: Axes, network: LesionedNetwork, look: dict[str, Any]) -> None:
    by_count: dict[int, list[float]] = {}
    for lesion in network.study.of("random"):
        by_count.setdefault(len(lesion.blocks), []).append(lesion.error)
    most = max(by_count, default=1)
    shares = [0.0] + [count / most for count in by_count]
    medians = [network.study.error] + [statistics.median(errors) for errors in by_count.values()]
    axes.plot(shares, medians, **look)
    for count, errors in by_count.items():
        axes.plot([count / most] * len(errors), errors, ".", color=look["color"], alpha=0.3, markersize=3)


def _draw_order(axes: Axes, network: LesionedNetwork, look: dict[str, Any]) -> None:
    found = network.study.of("exchange")
    axes.plot([lesion.blocks[0] for lesion in found], [lesion.error for lesion in found], **look)
