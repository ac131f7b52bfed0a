"""The pictures of the pages that no study's report draws."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter, PercentFormatter

from archsearch.analysis.plots import COLOURS, OTHER_COLOUR, STYLES


def draw_accuracy(trainings: pd.DataFrame, path: Path) -> None:
    """Draw validation accuracy against parameters, a marker a network and a line a study.

    Points are means over seeds that came to their end, bars reach one sample standard deviation to each side.

    Args:
        trainings: A row a training, as in `trainings.csv`.
        path: Of the PNG.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    complete = trainings[trainings["outcome"] == "complete"]
    for (_, rows), (marker, line) in zip(complete.groupby("study", sort=False), cycle(STYLES), strict=False):
        cells = rows.groupby("parameters").agg(
            network=("network", "first"), error=("val_error", "mean"), spread=("val_error", "std")
        )
        family = str(rows["family"].iloc[0])
        axes.errorbar(
            cells.index,
            1 - cells["error"],
            yerr=cells["spread"].fillna(0),
            color=COLOURS.get(family, OTHER_COLOUR),
            marker=marker,
            linestyle=line,
            capsize=3,
        )
        for parameters, cell in cells.iterrows():
            axes.annotate(
                str(cell["network"]),
                (parameters, 1 - cell["error"]),
                xytext=(4, 6),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("parameters")
    axes.set_ylabel("validation accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.margins(x=0.2)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
