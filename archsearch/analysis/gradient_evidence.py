"""Whether gradients vanish or explode on their way to the first layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archsearch.analysis.curve_results import CellResults
from archsearch.statistics.contrasts import Contrast
from archsearch.statistics.samples import Sample

IMBALANCE = 1e3
"""Gradients of the first layers smaller or larger than those of the last by this factor explain a failure.

Networks that train well stay within some tens: a factor of a thousand means that one end of the network
stands still while the other learns, whatever the learning rate.
"""

Fault = Literal["vanishing", "exploding"]

# of float32: what is smaller was rounded to 0 on its way, what is larger to infinity
_SMALLEST, _LARGEST = 1e-38, 1e38


@dataclass(frozen=True)
class GradientEvidence:
    """Gradient norm of the first layers divided by that of the last ones, at one depth.

    Attributes:
        depth: Where.
        initial_ratio: Before the first step, geometric mean over the seeds; None where not recorded.
        ratio: Over the training.
        low: Lower 95 % bound of that ratio; the ratio itself where it comes from one seed.
        high: Upper 95 % bound.
    """

    depth: int
    initial_ratio: float | None
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def fault(self) -> Fault | None:
        """What is shown: at the start and all through the training, and by more than chance.

        At the start alone proves little: deep plain networks with batch normalisation begin with large
        gradients in their first layers (Yang et al. 2019, 1902.08129), which the first steps mend.
        """
        if self.high is None or self.low is None:
            return None
        first = self.high if self.initial_ratio is None else max(self.initial_ratio, self.high)
        if first < 1 / IMBALANCE:
            return "vanishing"
        first = self.low if self.initial_ratio is None else min(self.initial_ratio, self.low)
        return "exploding" if first > IMBALANCE else None

    @property
    def starts_exploding(self) -> bool:
        """Whether the first step already had exploding gradients; of trainings that ended in no number."""
        return self.fault == "exploding" or (
            self.ratio is None and self.initial_ratio is not None and self.initial_ratio > IMBALANCE
        )


def gradient_evidence(cell: CellResults) -> GradientEvidence:
    """Sum up the ratios of one depth."""
    initial, during = _logarithms(cell.initial_gradient_ratios), _logarithms(cell.gradient_ratios)
    line = _mean(during)
    return GradientEvidence(
        cell.depth,
        10 ** _mean(initial).estimate if initial else None,
        10**line.estimate if during else None,
        10 ** line.lower() if during else None,
        10 ** line.upper() if during else None,
    )


def _mean(logarithms: Sequence[float]) -> Contrast:
    if len(logarithms) < 2:
        return Contrast(logarithms[0] if logarithms else math.nan, 0.0, math.inf)
    sample = Sample.of(logarithms)
    # bounds beyond what a float holds would overflow, and say no more
    return Contrast(sample.mean, min(sample.standard_error, 10.0), sample.count - 1)


def _logarithms(ratios: Sequence[float]) -> list[float]:
    return [math.log10(min(max(ratio, _SMALLEST), _LARGEST)) for ratio in ratios if not math.isnan(ratio)]
