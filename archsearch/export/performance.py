"""How good a classifier is on a split: accuracy with its interval, per class, calibration, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from archsearch.statistics.intervals import share_interval

BINS = 15
"""Bins of the calibration error, equally wide, of the probability of the class that is named (Guo et al.
2017, 1706.04599)."""


def measure_performance(logits: Tensor, labels: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """Measure what logits ``[N, classes]`` say of labels ``[N]``; all as JSON's values.

    Intervals are Wilson's, at 95 %; they are of the sampling of images alone, not of seeds.
    """
    probabilities = logits.double().softmax(1)
    predictions = logits.argmax(1)
    right = predictions == labels
    confusion = count_confusion(predictions, labels, len(class_names))
    return {
        "images": len(labels),
        **_share("accuracy", right),
        "error": 1 - float(right.double().mean()),
        "negative_log_likelihood": float(torch.nn.functional.cross_entropy(logits.double(), labels)),
        "brier_score": float((probabilities - _one_hot(labels, probabilities)).square().sum(1).mean()),
        "calibration": {
            "expected_calibration_error": measure_calibration(probabilities, labels),
            "bins": BINS,
            "binning": "equal width, by the probability of the predicted class",
        },
        "per_class": [
            {
                "class": name,
                "images": int((labels == number).sum()),
                **_share("accuracy", right[labels == number]),
            }
            for number, name in enumerate(class_names)
        ],
        "confusion": confusion.tolist(),
    }


def measure_calibration(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error: mean distance of confidence and accuracy over the bins."""
    confidence, predictions = probabilities.max(1)
    right = (predictions == labels).double()
    place = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    gap = torch.zeros(BINS, dtype=torch.float64).index_add(0, place, confidence.double() - right)
    return float(gap.abs().sum() / len(labels))


def count_confusion(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Count images by true class (rows) and predicted class (columns)."""
    return torch.bincount(labels * classes + predictions, minlength=classes**2).view(classes, classes)


def _share(name: str, right: Tensor) -> dict[str, Any]:
    if not len(right):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    share = float(right.double().mean())
    low, high = share_interval(share, len(right))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def _one_hot(labels: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter_(1, labels[:, None], 1)
