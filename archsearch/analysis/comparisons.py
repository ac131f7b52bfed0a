"""The table of comparisons: cells with each other, and the slopes of curves, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Literal

from archsearch.analysis.curve_reading import CurveReading
from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.curve_tests import Measure, training_sample, validation_sample
from archsearch.analysis.wording import listed, p_value, percent, points
from archsearch.statistics.comparing import compare_samples, equivalence_p
from archsearch.statistics.contrasts import difference
from archsearch.statistics.families import adjust_holm
from archsearch.statistics.samples import Sample
from archsearch.statistics.trends import slope, slope_difference

Question = Literal["same depth", "deeper", "slopes", "asked"]

_MEASURES: tuple[Measure, Measure] = ("train_error", "val_error")
_NAMES: Mapping[Measure, str] = {"train_error": "training error", "val_error": "validation error"}


@dataclass(frozen=True)
class CellComparison:
    """The second minus the first, by Welch's t test.

    Attributes:
        question: ``same depth``: two curves that differ in one swept value, at one depth; ``deeper``: a depth
            of a curve against the best shallower one; ``slopes``: whether what the curves differ in changes
            what depth does, in error per doubling of depth; ``asked``: what somebody put side by side.
        measure: What is compared.
        first: Curve and depth; of slopes the curve.
        second: The same.
        first_mean: Mean, or slope.
        second_mean: Mean, or slope.
        difference: Second minus first.
        low: Of its 95 % interval, uncorrected.
        high: Of its 95 % interval, uncorrected.
        df: Degrees of freedom.
        p: Two-sided.
        p_adjusted: Within its family: one question, one measure (Holm).
        effect_size: Hedges' g; None for slopes, and where nothing varies.
        equivalence_p: P of equivalence within the smallest difference; None for slopes.
        sentence: The same in words.
    """

    question: Question
    measure: Measure
    first: str
    second: str
    first_mean: float
    second_mean: float
    difference: float
    low: float
    high: float
    df: float | None
    p: float
    p_adjusted: float
    effect_size: float | None
    equivalence_p: float | None
    sentence: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)


def compare_curves(readings: Sequence[CurveReading]) -> list[CellComparison]:
    """Compare all that can be compared, question by question."""
    found: list[CellComparison] = []
    alike = [pair for pair in combinations(readings, 2) if _differ_in_one(*pair)]
    for measure in _MEASURES:
        same_depth = [row for pair in alike for row in _same_depth(*pair, measure)]
        slopes = [row for pair in alike for row in _slopes(*pair, measure)]
        found += [*_corrected(same_depth), *_deeper(readings, measure), *_corrected(slopes)]
    return [replace(row, sentence=_sentence(row)) for row in found]


def compare_with_first(
    samples: Sequence[tuple[str, Sample]], measure: Measure, margin: float
) -> list[CellComparison]:
    """Compare each of some samples with the first.

    Args:
        samples: With their names.
        measure: That they are of.
        margin: The smallest difference that matters.
    """
    family = [_compared("asked", measure, samples[0], other, margin) for other in samples[1:]]
    return [replace(row, sentence=_sentence(row)) for row in _corrected(family)]


def _differ_in_one(one: CurveReading, other: CurveReading) -> bool:
    """Whether one swept value differs; what only one of them uses does not count."""
    common = one.shared.keys() & other.shared.keys()
    differing = sum(one.shared[path] != other.shared[path] for path in common)
    swept = one.results.swept and other.results.swept
    return swept and (differing == 1 or (differing == 0 and one.shared.keys() != other.shared.keys()))


def _samples(curve: CurveResults, cells: Iterable[CellResults], measure: Measure) -> dict[int, Sample]:
    build = training_sample if measure == "train_error" else validation_sample
    return {cell.depth: build(curve, cell) for cell in cells if cell.ended > 1}


def _by_asked_depth(reading: CurveReading, measure: Measure) -> dict[int, tuple[int, Sample]]:
    """Samples by the depth that the study asked for: a dense network of depth 19 stands for 20."""
    samples = _samples(reading.results, reading.results.cells, measure)
    found = {}
    for trial, cell in zip(reading.trials, reading.results.cells, strict=True):
        if cell.depth in samples:
            asked = trial.cell.get("architecture.depth", cell.depth)
            found[int(asked)] = (cell.depth, samples[cell.depth])
    return found


def _same_depth(one: CurveReading, other: CurveReading, measure: Measure) -> list[CellComparison]:
    first, second = _by_asked_depth(one, measure), _by_asked_depth(other, measure)
    return [
        _compared(
            "same depth",
            measure,
            (f"{one.results.label} depth={first[asked][0]}", first[asked][1]),
            (f"{other.results.label} depth={second[asked][0]}", second[asked][1]),
            one.results.smallest_difference,
        )
        for asked in sorted(first.keys() & second.keys())
    ]


def _deeper(readings: Sequence[CurveReading], measure: Measure) -> list[CellComparison]:
    """Compare each depth with the best shallower one.

    Which one is best is seen in the same numbers, so the family is that of all pairs of depths, of which
    these are shown.
    """
    family: list[CellComparison] = []
    shown: set[tuple[str, str]] = set()
    for reading in readings:
        curve = reading.results
        if not curve.swept:
            continue
        samples = _samples(curve, curve.cells, measure)
        named = {depth: f"{curve.label} depth={depth}" for depth in samples}
        for depth in samples:
            shallower = [other for other in samples if other < depth]
            family += [
                _compared(
                    "deeper",
                    measure,
                    (named[other], samples[other]),
                    (named[depth], samples[depth]),
                    curve.smallest_difference,
                )
                for other in shallower
            ]
            if shallower:
                best = min(shallower, key=lambda other: samples[other].mean)
                shown.add((named[best], named[depth]))
    return [row for row in _corrected(family) if (row.first, row.second) in shown]


def _slopes(one: CurveReading, other: CurveReading, measure: Measure) -> list[CellComparison]:
    first, second = _by_asked_depth(one, measure), _by_asked_depth(other, measure)
    common = sorted(first.keys() & second.keys())
    if len(common) < 2:
        return []
    lines = [([side[asked][1] for asked in common], list(map(float, common))) for side in (first, second)]
    change = slope_difference(lines[0], lines[1])
    low, high = change.interval()
    return [
        CellComparison(
            "slopes",
            measure,
            one.results.label,
            other.results.label,
            slope(*lines[0]).estimate,
            slope(*lines[1]).estimate,
            change.estimate,
            low,
            high,
            change.finite_df,
            change.p_two_sided,
            1.0,
            None,
            None,
        )
    ]


def _compared(
    question: Question,
    measure: Measure,
    first: tuple[str, Sample],
    second: tuple[str, Sample],
    margin: float,
) -> CellComparison:
    found, change = compare_samples(first[1], second[1]), difference(first[1], second[1])
    return CellComparison(
        question,
        measure,
        first[0],
        second[0],
        first[1].mean,
        second[1].mean,
        found.difference,
        found.low,
        found.high,
        change.finite_df,
        found.p,
        1.0,
        found.effect_size,
        equivalence_p(change, margin),
    )


def _corrected(family: Sequence[CellComparison]) -> list[CellComparison]:
    adjusted = adjust_holm([row.p for row in family])
    return [replace(row, p_adjusted=p) for row, p in zip(family, adjusted, strict=True)]


def _sentence(row: CellComparison) -> str:
    what, shown = _NAMES[row.measure], p_value(row.p_adjusted)
    if row.question == "slopes":
        rates = listed([f"{100 * rate:+.2f}" for rate in (row.first_mean, row.second_mean)])
        return f"{row.first} against {row.second}: {what} {rates} points per doubling of depth ({shown})."
    word = "higher" if row.difference > 0 else "lower"
    by = f"{points(row.difference)} {word}" if row.difference else "the same"
    return (
        f"{row.second} against {row.first}: {what} {by}, "
        f"{percent(row.second_mean)} and {percent(row.first_mean)} ({shown})."
    )
