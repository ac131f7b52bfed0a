"""The tests behind a verdict: does an error rise with depth, fall, or stay?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.statistics.comparing import equivalence_p
from archsearch.statistics.contrasts import difference
from archsearch.statistics.samples import Sample
from archsearch.statistics.trends import Trend, examine_order

Measure = Literal["train_error", "val_error"]
Direction = Literal["rise", "fall"]

# Two networks are judged by the same validation images, so much of the error of that sample drops out of
# their difference. What does not is the difference between how alike two networks of one depth err
# (correlation of their errors image by image) and two of different depth. On digits that was at most 0.23 of
# the binomial variance for plain networks of neighbouring depth, and about 0 for residual ones.
_IMAGE_NOISE_LEFT = 0.25


@dataclass(frozen=True)
class CurveTests:
    """The cells of a curve that can be tested, and what the tests say.

    Attributes:
        curve: The curve.
        cells: Those with at least two seeds that ended.
    """

    curve: CurveResults
    cells: tuple[CellResults, ...]

    @property
    def depths(self) -> list[int]:
        """Depths of the cells."""
        return [cell.depth for cell in self.cells]

    @cached_property
    def train(self) -> list[Sample]:
        """Training errors; a network that diverged counts with the error of a guess."""
        return [training_sample(self.curve, cell) for cell in self.cells]

    @cached_property
    def val(self) -> list[Sample]:
        """Validation errors, as `train`; empty where they are not known for all cells."""
        if any(len(cell.val_errors) != len(cell.train_errors) for cell in self.cells):
            return []
        return [validation_sample(self.curve, cell) for cell in self.cells]

    def order(self, measure: Measure, direction: Direction, *, margin: float = 0.0) -> list[Trend]:
        """The family of trends of one measure in one direction; empty where there is nothing to test."""
        samples = self.train if measure == "train_error" else self.val
        return examine_order(samples, self.depths, direction, margin=margin) if len(samples) > 1 else []

    def changes(self, measure: Measure, direction: Direction, *, level: float) -> Trend | None:
        """The trend that is shown at this level and large enough to matter, or None.

        A training error must have changed, by an estimate of the smallest difference or more. A validation
        error must have changed by more than the smallest difference beyond chance: it comes from a sample of
        images, and it is what people act upon.
        """
        smallest = self.curve.smallest_difference
        margin = smallest if measure == "val_error" else 0.0
        return widest(self.order(measure, direction, margin=margin), level=level, at_least=smallest)

    @cached_property
    def equivalence(self) -> float:
        """P that the training errors of any two depths differ by the smallest difference or more.

        Every pair must pass, so the largest p needs no correction (intersection-union test).
        """
        return self._equivalence(self.train)

    @cached_property
    def val_equivalence(self) -> float:
        """The same of the validation error; 1 where it is not known."""
        return self._equivalence(self.val)

    def _equivalence(self, samples: Sequence[Sample]) -> float:
        margin = self.curve.smallest_difference
        pairs = combinations(samples, 2)
        return max((equivalence_p(difference(one, two), margin) for one, two in pairs), default=1.0)


def testable(curve: CurveResults) -> CurveTests:
    """Leave out depths of a single seed, which show no spread."""
    return CurveTests(curve, tuple(cell for cell in curve.cells if cell.ended > 1))


def training_sample(curve: CurveResults, cell: CellResults) -> Sample:
    """The training errors of a cell with at least two seeds."""
    values = cell.train_errors + (curve.chance_error,) * cell.diverged
    return Sample.of(values, resolution=_step(curve.train_images))


def validation_sample(curve: CurveResults, cell: CellResults) -> Sample:
    """The validation errors of a cell with at least two seeds, with what the choice of images may do."""
    values = cell.val_errors + (curve.chance_error,) * cell.diverged
    mean = sum(values) / len(values)
    known = _IMAGE_NOISE_LEFT * mean * (1 - mean) / curve.val_images if curve.val_images else 0.0
    return Sample.of(values, resolution=_step(curve.val_images), known_variance=known)


def widest(trends: Sequence[Trend], *, level: float, at_least: float) -> Trend | None:
    """The trend over most depths among those that are significant and large enough to matter."""
    found = [t for t in trends if t.p_adjusted <= level and abs(t.change) >= at_least]
    return max(found, key=lambda trend: trend.last - trend.first, default=None)


def _step(images: int | None) -> float:
    return 1 / images if images else 0.0
