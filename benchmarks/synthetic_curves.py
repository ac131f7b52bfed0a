"""Depth curves of known truth, as a study would have measured them: what the verdict is tested against.

A `Truth` says what the errors are at every depth; `generate` measures it with a few seeds, with noise of a
kind that real trainings show, on a finite number of images, with seeds that failed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from archsearch.analysis import CellResults, CurveResults
from archsearch.analysis.verdict_rule import Kind, decide

Noise = Literal["even", "growing", "shrinking", "heavy", "skewed", "skewed shallow", "counted"]
"""How seeds differ.

Normal with one spread; normal, the spread growing or shrinking tenfold with depth; t with three degrees of
freedom; skewed to the right (beta) with a growing spread, or with a shrinking one; beta with the spread that
a share has, which grows as the square root of the error.
"""

NOISES: tuple[Noise, ...] = ("even", "growing", "heavy", "skewed", "counted")

DEPTHS = (8, 20, 32, 56)
CLASSES = 10

# Training error from which on the training errors of seeds have the whole spread.
_SPREAD_IN_FULL = 0.03


@dataclass(frozen=True)
class Truth:
    """What is really so.

    Attributes:
        kind: The verdict that is right.
        train: Training error at each depth.
        val: Validation error at each depth.
        diverging: Chance at each depth that a training ends in what is not a number.
        gradient_ratios: Gradient of the first stage divided by that of the last, at each depth, if known.
        depths: The depths.
    """

    kind: Kind
    train: tuple[float, ...]
    val: tuple[float, ...]
    diverging: tuple[float, ...] = ()
    gradient_ratios: tuple[float, ...] = ()
    depths: tuple[int, ...] = DEPTHS


@dataclass(frozen=True)
class Measurement:
    """How it is measured.

    Attributes:
        seeds: At each depth.
        spread: Standard deviation over the seeds; of growing and shrinking noise the largest.
        noise: Its kind.
        images: For training and for validation, each.
        lost: Chance that a training fails for a reason that says nothing about depth.
        missing_cell: Whether one depth, never an end, has no results at all.
    """

    seeds: int = 3
    spread: float = 0.01
    noise: Noise = "even"
    images: int = 5000
    lost: float = 0.0
    missing_cell: bool = False


def rising(start: float, by: float, depths: tuple[int, ...] = DEPTHS) -> tuple[float, ...]:
    """Errors that rise (fall) along a line against the logarithm of depth."""
    logs = [math.log(depth / depths[0]) / math.log(depths[-1] / depths[0]) for depth in depths]
    return tuple(start + by * log for log in logs)


def u_shaped(start: float, best: float, end: float) -> tuple[float, ...]:
    """Errors that fall to depth 20 and rise from there."""
    return (start, best, best + (end - best) / 3, end)


def truths(effect: float) -> dict[str, Truth]:
    """One truth of each kind and shape; `effect` is how much errors change where they do."""
    level, kept = (0.1,) * 4, (0.01,) * 4
    degraded = rising(0.03, effect)
    return {
        "flat": Truth("saturated", level, tuple(error + 0.03 for error in level)),
        "saturated": Truth("saturated", (0.006, 0.005, 0.004, 0.004), (0.07, 0.067, 0.067, 0.067)),
        "healthy": Truth("healthy", rising(0.03 + effect, -effect), rising(0.06 + effect, -effect)),
        "plateau": Truth(
            "healthy",
            (0.03 + effect, 0.03, 0.029, 0.029),
            (0.06 + effect, 0.06, 0.059, 0.059),
        ),
        "degradation": Truth("degradation", degraded, tuple(error + 0.03 for error in degraded)),
        "degradation behind an improvement": Truth(
            "degradation",
            u_shaped(0.03 + effect, 0.03, 0.03 + effect),
            u_shaped(0.06 + effect, 0.06, 0.06 + effect),
        ),
        "overfitting": Truth("overfitting", kept, rising(0.08, effect)),
        "overfitting with a falling training error": Truth(
            "overfitting", rising(0.01 + effect, -effect), rising(0.08, effect)
        ),
        "vanishing": Truth(
            "vanishing_gradients", degraded, degraded, gradient_ratios=(0.3, 1e-2, 1e-5, 1e-9)
        ),
        "exploding": Truth("exploding_gradients", degraded, degraded, gradient_ratios=(3.0, 1e2, 1e5, 1e9)),
        "diverged": Truth(
            "diverged", kept, tuple(error + 0.03 for error in kept), diverging=(0, 0, 0.05, 0.95)
        ),
    }


def generate(truth: Truth, measurement: Measurement, count: int, *, seed: int) -> Iterator[CurveResults]:
    """Measure a truth `count` times."""
    generator = np.random.default_rng(seed)
    size = (count, len(truth.depths), measurement.seeds)
    # trainings that reach an error near 0 differ little
    common = min(1.0, max(truth.train) / _SPREAD_IN_FULL) * _noise(generator, truth.train, measurement, size)
    train = np.asarray(truth.train)[:, None] + common
    # what a seed does to the training error it mostly does to the validation error too
    own = _noise(generator, truth.val, measurement, size)
    val = np.asarray(truth.val)[:, None] + 0.8 * common + 0.6 * own
    train, val = (_counted(errors, measurement.images) for errors in (train, val))
    diverging = generator.random(size) < np.asarray(truth.diverging or (0,) * len(truth.depths))[:, None]
    lost = generator.random(size) < measurement.lost
    ratios = _ratios(generator, truth, size)
    hidden = generator.integers(1, len(truth.depths) - 1, count) if measurement.missing_cell else [-1] * count
    for study in range(count):
        cells = []
        for place, depth in enumerate(truth.depths):
            if place == hidden[study]:
                cells.append(CellResults(depth, (), missing=measurement.seeds))
                continue
            ended = ~lost[study, place] & ~diverging[study, place]
            cells.append(
                CellResults(
                    depth,
                    tuple(map(float, train[study, place][ended])),
                    tuple(map(float, val[study, place][ended])),
                    diverged=int((diverging[study, place] & ~lost[study, place]).sum()),
                    failed=int(lost[study, place].sum()),
                    initial_gradient_ratios=ratios[study][place],
                    gradient_ratios=ratios[study][place],
                )
            )
        yield CurveResults(
            "block=plain",
            "plain",
            tuple(cells),
            epochs=12,
            classes=CLASSES,
            train_images=measurement.images,
            val_images=measurement.images,
        )


def _noise(
    generator: np.random.Generator,
    errors: tuple[float, ...],
    measurement: Measurement,
    size: tuple[int, int, int],
) -> np.ndarray:
    """Deviations from the truth, of mean 0, before they are cut to shares."""
    spread, depths = measurement.spread, size[1]
    growing = spread * np.geomspace(0.1, 1, depths)[:, None]
    if measurement.noise == "even":
        return spread * generator.standard_normal(size)
    if measurement.noise == "growing":
        return growing * generator.standard_normal(size)
    if measurement.noise == "shrinking":
        return growing[::-1] * generator.standard_normal(size)
    if measurement.noise == "heavy":
        return spread * generator.standard_t(3, size) / math.sqrt(3)
    mean = np.clip(np.asarray(errors)[:, None], 1e-3, 1 - 1e-3)
    if measurement.noise == "skewed":
        deviation = growing
    elif measurement.noise == "skewed shallow":
        deviation = growing[::-1]
    else:
        largest = max(errors)
        deviation = spread * np.sqrt(mean * (1 - mean) / (largest * (1 - largest)))
    deviation = np.minimum(deviation, 0.9 * np.sqrt(mean * (1 - mean)))
    concentration = mean * (1 - mean) / deviation**2 - 1
    shape = (np.broadcast_to(mean * concentration, size), np.broadcast_to((1 - mean) * concentration, size))
    return generator.beta(*shape) - mean


def _counted(errors: np.ndarray, images: int) -> np.ndarray:
    return np.round(np.clip(errors, 0, 1) * images) / images


def _ratios(
    generator: np.random.Generator, truth: Truth, size: tuple[int, int, int]
) -> list[list[tuple[float, ...]]]:
    if not truth.gradient_ratios:
        return [[()] * size[1]] * size[0]
    spread = 10 ** (0.2 * generator.standard_normal(size))
    found = np.asarray(truth.gradient_ratios)[:, None] * spread
    return [[tuple(map(float, cell)) for cell in study] for study in found]


def claims(studies: Iterator[CurveResults]) -> Counter[Kind]:
    """Count verdicts."""
    return Counter(decide(curve).kind for curve in studies)


def false_claims(truth: Truth, verdicts: Counter[Kind]) -> dict[Kind, int]:
    """How often each claim was made that is not so; to call something undecided claims nothing."""
    right: set[Kind] = {truth.kind, "undecided"}
    if truth.gradient_ratios:
        # the training error does rise: that the reason was not seen is no error
        right.add("degradation")
    return {kind: count for kind, count in verdicts.items() if kind not in right}
