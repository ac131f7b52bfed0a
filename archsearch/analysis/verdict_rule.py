"""The rule: from the results of a curve to one word, with its errors under control.

Each claim is tested against its own null hypothesis at the curve's level, over all depths at once:

- a rise of the training error (degradation): a family of slopes, see `statistics.trends.examine_order`;
- overfitting: the same of the validation error, and a bound on the training error over the same depths;
- healthy: a fall of the training or of the validation error, with the deepest networks no worse than the
  shallowest, and nothing that looks like a rise;
- saturated: training errors equivalent between any two depths.

Besides being significant, a change must be as large as the smallest difference that matters (see
`CurveTests.changes`). What is left is undecided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.curve_tests import CurveTests, Measure, testable, widest
from archsearch.analysis.gradient_evidence import GradientEvidence, gradient_evidence
from archsearch.statistics.contrasts import difference
from archsearch.statistics.trends import Trend

Kind = Literal[
    "healthy",
    "degradation",
    "overfitting",
    "vanishing_gradients",
    "exploding_gradients",
    "diverged",
    "saturated",
    "undecided",
]

Reason = Literal[
    "",
    "searched",
    "not confirmed",
    "one depth",
    "few seeds",
    "nothing learned",
    "train_error",
    "val_error",
    "noise",
]
"""Why a curve is undecided; a measure: it may be rising."""

SUSPICION = 0.2
"""A rise with a p value up to this one is not shown, but speaks against calling a curve healthy."""

# There are two measures that may fall, so each has half of the level; and half of that, because the errors of
# deep networks are spread widely and skewed to the right, so that a few seeds make a fall look surer than it
# is: up to twice as often wrong in simulations.
_FALL = 0.25

# A suspected rise of the validation error that is clearly larger than the smallest difference keeps a curve
# from being called saturated. A smaller one does not: the advice is the shallow network all the same.
_CLEARLY = 2.0

_MEASURES: tuple[Measure, Measure] = ("train_error", "val_error")

# A network with nine tenths of a guess's error has learned next to nothing.
_UNLEARNED = 0.9


@dataclass(frozen=True)
class Decision:
    """What the rule says.

    Attributes:
        kind: The verdict.
        tests: What it was decided by; None where it did not come to tests.
        measure: The measure whose trend was decisive.
        trend: That trend.
        gradients: At the depth that is worst, where they were recorded.
        diverged: The cells whose networks mostly ended in what is not a number.
        rest: The decision on the other cells, where some diverged.
        reason: Why it is undecided.
    """

    kind: Kind
    tests: CurveTests | None = None
    measure: Measure | None = None
    trend: Trend | None = None
    gradients: GradientEvidence | None = None
    diverged: tuple[CellResults, ...] = ()
    rest: Decision | None = None
    reason: Reason = ""


def decide(curve: CurveResults) -> Decision:
    """Apply the rule to a curve; its notes play no part."""
    if not curve.swept:
        return Decision("undecided", reason="searched")
    if not curve.confirmed:
        return Decision("undecided", reason="not confirmed")
    diverged = tuple(cell for cell in curve.cells if cell.mostly_diverged)
    if diverged:
        return _decide_diverged(curve, diverged)
    tests = testable(curve)
    if len(tests.cells) < 2:
        depths = sum(cell.ended > 0 for cell in curve.cells)
        return Decision("undecided", tests, reason="few seeds" if depths > 1 else "one depth")
    if curve.classes and all(s.mean >= _UNLEARNED * curve.chance_error for s in tests.train):
        return _decide_unlearned(tests)
    return _decide_degradation(tests) or _decide_overfitting(tests) or _decide_rest(tests)


def _decide_diverged(curve: CurveResults, diverged: tuple[CellResults, ...]) -> Decision:
    others = tuple(cell for cell in curve.cells if cell not in diverged)
    gradients = gradient_evidence(diverged[-1])
    return Decision(
        "exploding_gradients" if gradients.starts_exploding else "diverged",
        gradients=gradients,
        diverged=diverged,
        rest=decide(replace(curve, cells=others)) if len(others) > 1 else None,
    )


def _decide_unlearned(tests: CurveTests) -> Decision:
    found = [gradient_evidence(cell) for cell in tests.cells]
    faults = {gradients.fault for gradients in found}
    if faults in ({"vanishing"}, {"exploding"}):
        return Decision(_named(found[-1]), tests, "train_error", gradients=found[-1])
    return Decision("undecided", tests, reason="nothing learned")


def _decide_degradation(tests: CurveTests) -> Decision | None:
    rise = tests.changes("train_error", "rise", level=tests.curve.level)
    if rise is None:
        return None
    means = [sample.mean for sample in tests.train]
    worst = max(range(rise.first, len(means)), key=means.__getitem__)
    gradients = gradient_evidence(tests.cells[worst])
    kind = _named(gradients) if gradients.fault else "degradation"
    return Decision(kind, tests, "train_error", rise, gradients)


def _decide_overfitting(tests: CurveTests) -> Decision | None:
    curve, smallest = tests.curve, tests.curve.smallest_difference
    training = {trend.first: trend.total for trend in tests.order("train_error", "rise")}
    rises = tests.order("val_error", "rise", margin=smallest)
    stays = [rise for rise in rises if training[rise.first].upper(1 - curve.level) < smallest]
    rise = widest(stays, level=curve.level, at_least=smallest)
    return Decision("overfitting", tests, "val_error", rise) if rise else None


def _decide_rest(tests: CurveTests) -> Decision:
    curve = tests.curve
    suspects = {measure: _suspect(tests, measure) for measure in _MEASURES}
    for measure in _MEASURES:
        fall = tests.changes(measure, "fall", level=curve.level * _FALL)
        if fall and not any(suspects.values()) and _ends_well(tests, measure):
            return Decision("healthy", tests, measure, fall)
    if tests.equivalence <= curve.level and not _suspect(tests, "val_error", times=_CLEARLY):
        return Decision("saturated", tests, "train_error")
    for measure, suspect in suspects.items():
        if suspect:
            return Decision("undecided", tests, measure, suspect, reason=measure)
    return Decision("undecided", tests, reason="noise")


def _ends_well(tests: CurveTests, measure: Measure) -> bool:
    """Whether the deepest networks are shown to be no worse than the shallowest; others may be better."""
    curve = tests.curve
    samples = tests.train if measure == "train_error" else tests.val
    return difference(samples[0], samples[-1]).upper(1 - curve.level) < curve.smallest_difference


def _suspect(tests: CurveTests, measure: Measure, *, times: float = 1.0) -> Trend | None:
    """A rise that is not shown, but not to be overlooked either: so many times the smallest difference."""
    smallest = times * tests.curve.smallest_difference
    return widest(tests.order(measure, "rise"), level=SUSPICION, at_least=smallest)


def _named(gradients: GradientEvidence) -> Kind:
    return "vanishing_gradients" if gradients.fault == "vanishing" else "exploding_gradients"
