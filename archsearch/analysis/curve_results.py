"""What the networks of one curve showed, as plain values: all that a verdict rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from archsearch.statistics.descriptive import mean_and_std
from archsearch.study.schema import SMALLEST_DIFFERENCE

LEVEL = 0.05
"""How often a verdict may claim what is not so."""


@dataclass(frozen=True)
class CellResults:
    """The networks of one depth.

    Attributes:
        depth: Weighted layers.
        train_errors: One a seed: evaluation mode, unaugmented, at the end.
        val_errors: One a seed, in the same order.
        diverged: Seeds whose training ended in what is not a number.
        failed: Seeds that failed for another reason: they say nothing about depth.
        missing: Seeds that have not ended yet.
        initial_gradient_ratios: Gradient norm of the first quarter of the layers divided by that of the
            last, before the first step; one a seed, empty where it was not recorded.
        gradient_ratios: The same over the training (geometric mean of its epochs).
    """

    depth: int
    train_errors: tuple[float, ...]
    val_errors: tuple[float, ...] = ()
    diverged: int = 0
    failed: int = 0
    missing: int = 0
    initial_gradient_ratios: tuple[float, ...] = ()
    gradient_ratios: tuple[float, ...] = ()

    @property
    def ended(self) -> int:
        """Seeds that say something about this depth."""
        return len(self.train_errors) + self.diverged

    @property
    def mostly_diverged(self) -> bool:
        """Whether more than half of the seeds are not a number, whatever those still missing come to."""
        return 2 * self.diverged > self.ended + self.missing

    @property
    def train_error(self) -> float:
        """Mean over the seeds that ended with a number."""
        return mean_and_std(self.train_errors)[0] if self.train_errors else math.nan

    @property
    def val_error(self) -> float:
        """Mean over the seeds that ended with a number."""
        return mean_and_std(self.val_errors)[0] if self.val_errors else math.nan


@dataclass(frozen=True)
class CurveResults:
    """The cells that agree in everything but depth.

    Attributes:
        label: ``block=plain``.
        family: The block.
        cells: The shallowest first, each depth once.
        epochs: Of every training; where they differ, the most.
        swept: False where a search chose the depths.
        confirmed: False where each depth has the trials of its search alone.
        classes: Of the data; None where unknown.
        train_images: The step of the training error is one of them; None where unknown.
        val_images: The same of the validation error; also how well it stands for other images.
        smallest_difference: The smallest difference of error that matters, a fraction.
        level: How often the verdict may be wrong.
        notes: Doubts about the validity, which stand beside the verdict and do not change it.
        deciding_study: YAML of the sweep that would decide it, where `swept` is false.
    """

    label: str
    family: str
    cells: tuple[CellResults, ...]
    epochs: int
    swept: bool = True
    confirmed: bool = True
    classes: int | None = None
    train_images: int | None = None
    val_images: int | None = None
    smallest_difference: float = SMALLEST_DIFFERENCE
    level: float = LEVEL
    notes: tuple[str, ...] = ()
    deciding_study: str = ""

    @cached_property
    def chance_error(self) -> float:
        """The error of a guess: what a network that diverged is worth; 1 where the classes are unknown."""
        return 1 - 1 / self.classes if self.classes else 1.0
