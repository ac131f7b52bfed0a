"""Measures as people read them."""

from __future__ import annotations

_NAMES = {
    "val_accuracy": "validation accuracy",
    "train_accuracy": "training accuracy",
    "val_error": "validation error",
    "train_error": "training error",
    "test_error": "test error",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "macs": "MACs",
}
_SHARES = ("accuracy", "error", "f1")


def name_measure(name: str) -> str:
    """``validation error``; a measure that has no other name keeps its own."""
    return _NAMES.get(name, name)


def show_measure(name: str, value: float, std: float | None = None) -> str:
    """``1.20% ± 0.31%``, ``4,152``, ``0.02841``."""
    if name.removesuffix("_std").endswith(_SHARES):
        return f"{value:.2%}" if std is None else f"{value:.2%} ± {std:.2%}"
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return shown if std is None else f"{shown} ± {std:,.2g}"
