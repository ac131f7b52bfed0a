"""More seeds: how many would decide a curve, and which cells need another one now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from archsearch.analysis.curve_results import LEVEL, CurveResults
from archsearch.analysis.curve_tests import CurveTests
from archsearch.analysis.verdict_rule import Decision, decide
from archsearch.statistics.comparing import equivalence_p
from archsearch.statistics.contrasts import difference
from archsearch.statistics.power import seeds_to_detect, seeds_to_equate, smallest_detectable
from archsearch.statistics.samples import Sample

_NO_HELP_FROM_SEEDS = ("searched", "not confirmed", "one depth", "nothing learned")


@dataclass(frozen=True)
class Shortage:
    """What the seeds of a curve can show so far.

    Attributes:
        seeds: Of the depth that has fewest.
        detectable: Smallest difference of training error between two depths that so many seeds find in four
            of five studies, at the spread seen.
        needed: Seeds at each depth that would probably decide the curve; None above 1000.
    """

    seeds: int
    detectable: float
    needed: int | None


def find_shortage(tests: CurveTests) -> Shortage | None:
    """Say what the seeds can show; None where no depth has two."""
    samples = tests.train
    if not samples:
        return None
    seeds = min(sample.count for sample in samples)
    spread = math.sqrt(sum(sample.variance for sample in samples) / len(samples))
    return Shortage(seeds, smallest_detectable(spread, seeds, level=tests.curve.level), _needed(tests))


def _needed(tests: CurveTests) -> int | None:
    """For each pair: find the difference that it shows, or show that there is none; the most of all pairs.

    Variances are taken as they were estimated, so this is a guess, good within a factor of two or so.
    """
    smallest, level = tests.curve.smallest_difference, tests.curve.level
    most = 2
    for one, two in _unresolved(tests, tests.train):
        variances = one.variance, two.variance
        change = abs(two.mean - one.mean)
        if change > smallest:
            # half of the level, as the slope over all depths has
            needed = seeds_to_detect(change, variances, level=level / 2)
        else:
            needed = seeds_to_equate(smallest, variances, level=level)
        if needed is None:
            return None
        most = max(most, needed)
    return max(most, 1 + min((sample.count for sample in tests.train), default=1))


def cells_to_replicate(
    curves: Iterable[CurveResults], *, fewest: int, most: int
) -> dict[str, tuple[int, ...]]:
    """Which cells need another seed: depths by the label of their curve; none of a curve that is decided.

    Of each pair of depths about which nothing is shown yet, the one whose mean is known less well is asked
    for. Looking after each seed would find something in the end by chance alone, so each look has its share
    of the error rate (see `look_level`).

    Args:
        curves: As they are so far, at the level of this look.
        fewest: Seeds that every cell has before the first look.
        most: Seeds that no cell goes beyond.
    """
    asked: dict[str, tuple[int, ...]] = {}
    for curve in curves:
        short = [cell.depth for cell in curve.cells if cell.ended + cell.failed + cell.missing < fewest]
        depths = set(short) or _wanted(curve, most)
        if depths:
            asked[curve.label] = tuple(sorted(depths))
    return asked


def look_level(looks: int, *, most: int, level: float = LEVEL) -> float:
    """The level of a verdict on a curve that is looked at again and again, seeds being added in between.

    Half of it is spent on the first look; the later ones share the rest evenly, so that all together err no
    more often than the level says (Bonferroni).

    Args:
        looks: How often seeds were added to the curve so far.
        most: How often they are added at most.
        level: Of all looks together.
    """
    if not most:
        return level
    return level / 2 if not looks else level / 2 / most


def _wanted(curve: CurveResults, most: int) -> set[int]:
    decision = decide(curve)
    if decision.kind != "undecided" or decision.reason in _NO_HELP_FROM_SEEDS:
        return set()
    return _uncertain(decision, most)


def _uncertain(decision: Decision, most: int) -> set[int]:
    assert decision.tests is not None
    cells, samples = decision.tests.cells, decision.tests.train
    if decision.reason == "few seeds":
        curve = decision.tests.curve
        return {cell.depth for cell in curve.cells if cell.ended < min(2, most)}
    if decision.reason == "val_error":
        samples = decision.tests.val
    places = {id(sample): cell for sample, cell in zip(samples, cells, strict=True)}
    wanted: set[int] = set()
    for pair in _unresolved(decision.tests, samples):
        growing = [sample for sample in pair if places[id(sample)].ended < most]
        if growing:
            worst = max(growing, key=lambda sample: sample.variance_of_mean)
            wanted.add(places[id(worst)].depth)
    return wanted


def _unresolved(tests: CurveTests, samples: list[Sample]) -> list[tuple[Sample, Sample]]:
    """Pairs of depths neither shown to differ nor shown to be equivalent."""
    level, smallest = tests.curve.level, tests.curve.smallest_difference
    found = []
    for one, two in combinations(samples, 2):
        change = difference(one, two)
        if change.p_two_sided > level and equivalence_p(change, smallest) > level:
            found.append((one, two))
    return found
