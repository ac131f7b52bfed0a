"""Which classes a network takes for which, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_NAMED_CLASSES = 30
_NUMBERED_CLASSES = 15


def plot_confusion(
    counts: Sequence[Sequence[int]], class_names: Sequence[str], title: str, path: Path
) -> None:
    """Draw the share of each true class (row) that was taken for each class (column)."""
    table = np.asarray(counts, dtype=float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    classes = len(class_names)
    side = min(12.0, 3.5 + 0.4 * classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    if classes <= _NAMED_CLASSES:
        # a dollar sign would begin a formula
        names = [name.replace("$", r"\$") for name in class_names]
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(classes), names)
    if classes <= _NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(table), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            count = f"{int(table[row, column])}"
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    figure.savefig(path, dpi=110)
