"""Measures beyond loss and accuracy: macro F1, latency, and the metrics that plugins bring.

An entry point of the group `archsearch.metrics` is named like the metric and leads to a callable that makes
a `torchmetrics.Metric` for a number of classes; it is given probabilities ``[N, classes]`` and labels
``[N]`` of the validation images, and reported as ``val_<name>``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassF1Score

from archsearch.architecture import load_entry_points
from archsearch.errors import StudyError

MetricMaker = Callable[[int], Metric]

LATENCIES = ("latency_ms", "latency_onnx_ms")
"""Measures of a trained network that are taken once, at the end."""

_WARMUP_RUNS = 5
_TIMED_RUNS = 30


def _make_macro_f1(classes: int) -> Metric:
    return MulticlassF1Score(classes, average="macro", validate_args=False)


METRICS: dict[str, MetricMaker] = {"macro_f1": _make_macro_f1}


def load_metric_plugins(packages: Iterable[str]) -> None:
    """Register the metrics that these installed packages bring."""
    for name, make in load_entry_points("archsearch.metrics", packages):
        if not callable(make):
            raise StudyError(
                f"must be callable with a number of classes (entry point {name} of archsearch.metrics)",
                path="plugins",
                got=make,
            )
        if METRICS.get(name, make) is not make:
            raise StudyError(f"must bring metrics of new names, {name} exists", path="plugins", got=make)
        METRICS[name] = make


def build_metrics(measures: Sequence[str], classes: int) -> dict[str, Metric]:
    """Build the metrics asked for, by the names they are reported under; latencies are none of them.

    Raises:
        StudyError: No metric of that name is known.
    """
    metrics = {}
    for measure in measures:
        if measure in LATENCIES:
            continue
        name = measure.removeprefix("val_")
        if name not in METRICS or name == measure:
            known = ", ".join(f"val_{known}" for known in sorted(METRICS))
            raise StudyError(
                f"must be one of {known}, {' or '.join(LATENCIES)}",
                path="objectives",
                got=measure,
                fix="A plugin's metric needs its package under plugins.",
            )
        metrics[measure] = METRICS[name](classes)
    return metrics


def compute_metrics(metrics: dict[str, Metric], logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute each metric on all images at once."""
    if not metrics:
        return {}
    probabilities = logits.softmax(1)
    values = {}
    for name, metric in metrics.items():
        metric.to(labels.device).reset()
        metric.update(probabilities, labels)
        values[name] = float(metric.compute())
    return values


def measure_latency(forward: Callable[[Tensor], Tensor], image: Tensor) -> float:
    """Measure how long one image takes: the median of 30 runs after 5 to warm up, in milliseconds.

    Args:
        forward: The network in evaluation mode, in the arithmetic it was trained in.
        image: ``[1, C, H, W]`` or ``[1, F]``, on the device.
    """
    times_s = []
    with torch.inference_mode():
        for run in range(_WARMUP_RUNS + _TIMED_RUNS):
            start = time.perf_counter()
            # Reading a value waits for an accelerator to finish.
            forward(image)[0, 0].item()
            if run >= _WARMUP_RUNS:
                times_s.append(time.perf_counter() - start)
    return statistics.median(times_s) * 1000
