"""Curves written down by hand."""

from __future__ import annotations

from typing import Any

from archsearch.analysis import CellResults, CurveResults

Errors = tuple[float, ...]


def curve(cells: dict[int, tuple[Errors, Errors]], **more: Any) -> CurveResults:
    """Training and validation errors by depth, of 1000 images each and ten classes."""
    return of_cells(*(CellResults(depth, train, val) for depth, (train, val) in cells.items()), **more)


def of_cells(*cells: CellResults, **more: Any) -> CurveResults:
    """A curve of these cells."""
    known = {"epochs": 12, "classes": 10, "train_images": 1000, "val_images": 1000, **more}
    return CurveResults("block=plain", "plain", cells, **known)


# As measured on digits: archsearch run search_spaces/degradation.yaml.
PLAIN = {
    8: ((0.0, 0.0, 0.0), (0.031, 0.021, 0.014)),
    20: ((0.004, 0.003, 0.001), (0.031, 0.035, 0.035)),
    32: ((0.041, 0.094, 0.181), (0.105, 0.167, 0.195)),
    56: ((0.573, 0.571, 0.551), (0.596, 0.589, 0.498)),
}
RESIDUAL = {
    8: ((0.0, 0.0, 0.0), (0.014, 0.017, 0.010)),
    20: ((0.0, 0.0, 0.0), (0.028, 0.014, 0.017)),
    32: ((0.0, 0.0, 0.0), (0.017, 0.021, 0.038)),
    56: ((0.0, 0.0, 0.001), (0.024, 0.031, 0.021)),
}
HEALTHY = {
    8: ((0.050, 0.052, 0.049), (0.090, 0.093, 0.091)),
    20: ((0.030, 0.031, 0.029), (0.070, 0.072, 0.073)),
    56: ((0.010, 0.011, 0.010), (0.055, 0.053, 0.056)),
}
OVERFITTING = {
    8: ((0.010, 0.012, 0.011), (0.100, 0.105, 0.102)),
    20: ((0.002, 0.001, 0.002), (0.130, 0.128, 0.133)),
    56: ((0.0, 0.0, 0.0), (0.170, 0.165, 0.172)),
}
NOISY = {
    8: ((0.05, 0.10, 0.15), (0.10, 0.15, 0.20)),
    20: ((0.06, 0.10, 0.14), (0.11, 0.15, 0.19)),
    56: ((0.04, 0.10, 0.16), (0.09, 0.15, 0.21)),
}
