"""A training against the same one made again: which of their figures differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from archsearch.journal.history import Metrics

Verdict = Literal["identical", "equal within rounding", "different"]

# Of the clock and the memory: no two trainings agree in them.
_MEASURED = (
    "images_per_s",
    "train_time_s",
    "peak_memory_mib",
    "latency_ms",
    "latency_onnx_ms",
    "packed_replicates",
)
# In another order of additions a figure differs in its last bits, and training makes that grow. These are
# shares of a figure, of figures below 1 the difference itself; an image that is classified otherwise exceeds
# them where there are few.
TOLERANCES: Mapping[str, float] = {"32": 1e-3, "bf16": 1e-2}


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        outcome: complete, stopped or failed.
        epochs: Metrics of each.
        metrics: At the end.
        weights: By name; None where they were not kept.
    """

    outcome: str
    epochs: Sequence[Metrics]
    metrics: Metrics
    weights: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Difference:
    """A figure that differs.

    Attributes:
        place: Which it is: ``epoch 3, train_loss``; epochs are counted from 1.
        recorded: None where there was none.
        again: None where there is none.
    """

    place: str
    recorded: float | None
    again: float | None

    @property
    def size(self) -> float:
        """As a share of what was recorded, of less than 1 as it is; infinite where one of them is missing."""
        if self.recorded is None or self.again is None:
            return math.inf
        size = abs(self.recorded - self.again) / max(1.0, abs(self.recorded))
        return size if math.isfinite(size) else math.inf

    def __str__(self) -> str:
        return f"{self.place}: recorded {_shown(self.recorded)}, again {_shown(self.again)}"


@dataclass(frozen=True)
class Reproduction:
    """What comparing two trainings shows.

    Attributes:
        verdict: Whether they agree.
        outcomes: Recorded, and again.
        compared: Number of figures that were compared.
        first: The first figure that differs; None where none does.
        largest: The figure that differs most.
        weights: Largest difference of two weights; None where they were not kept or cannot be compared.
        weights_kept: Whether the recorded ones were there.
        tolerance: Up to which a difference counts as rounding.
    """

    verdict: Verdict
    outcomes: tuple[str, str]
    compared: int
    first: Difference | None
    largest: Difference | None
    weights: float | None
    weights_kept: bool
    tolerance: float

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as JSON's values."""
        return asdict(self)


def compare_trainings(recorded: Training, again: Training, *, precision: str) -> Reproduction:
    """Compare the metrics of all epochs, those at the end, and the weights.

    What was stopped is compared up to there, since a stop is heard an epoch sooner or later.
    """
    tolerance = TOLERANCES[precision]
    pairs = list(_pair(recorded, again))
    found = [pair for pair in pairs if not _same(pair.recorded, pair.again)]
    largest = max(found, key=lambda difference: difference.size, default=None)
    weights = _compare_weights(recorded.weights, again.weights)
    if recorded.outcome != again.outcome or (largest is not None and largest.size > tolerance):
        verdict: Verdict = "different"
    else:
        verdict = "equal within rounding" if found or weights else "identical"
    return Reproduction(
        verdict=verdict,
        outcomes=(recorded.outcome, again.outcome),
        compared=len(pairs),
        first=found[0] if found else None,
        largest=largest,
        weights=weights,
        weights_kept=recorded.weights is not None,
        tolerance=tolerance,
    )


def _pair(recorded: Training, again: Training) -> Iterator[Difference]:
    stopped = recorded.outcome == "stopped"
    epochs = len(recorded.epochs) if stopped else max(len(recorded.epochs), len(again.epochs))
    for epoch in range(epochs):
        before, after = (t.epochs[epoch] if epoch < len(t.epochs) else {} for t in (recorded, again))
        yield from _pair_metrics(f"epoch {epoch + 1}, ", before, after)
    if not stopped:
        yield from _pair_metrics("at the end, ", recorded.metrics, again.metrics)


def _pair_metrics(place: str, recorded: Metrics, again: Metrics) -> Iterator[Difference]:
    for name in dict.fromkeys([*recorded, *again]):
        if name not in _MEASURED:
            yield Difference(f"{place}{name}", recorded.get(name), again.get(name))


def _same(one: float | None, other: float | None) -> bool:
    both_broken = one is not None and other is not None and math.isnan(one) and math.isnan(other)
    return one == other or both_broken


def _compare_weights(
    recorded: Mapping[str, Tensor] | None, again: Mapping[str, Tensor] | None
) -> float | None:
    if recorded is None or again is None:
        return None
    if {name: value.shape for name, value in recorded.items()} != {n: v.shape for n, v in again.items()}:
        return math.inf
    return max((_distance(value, again[name]) for name, value in recorded.items()), default=0.0)


def _distance(one: Tensor, other: Tensor) -> float:
    if torch.allclose(one, other, rtol=0, atol=0, equal_nan=True):
        return 0.0
    size = float((one.double() - other.double()).abs().max())
    return size if math.isfinite(size) else math.inf


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.9g}"
