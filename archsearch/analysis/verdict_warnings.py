"""Doubts that stand beside a verdict; none of them changes it."""

from __future__ import annotations

from archsearch.analysis.curve_results import CurveResults
from archsearch.analysis.replication import find_shortage
from archsearch.analysis.verdict_rule import Decision
from archsearch.analysis.wording import listed, percent, points
from archsearch.statistics.intervals import share_interval

FEW_SEEDS = 3
"""Fewer seeds than these estimate a spread too badly."""


def find_warnings(curve: CurveResults, decision: Decision) -> tuple[str, ...]:
    """The curve's own notes, then what its numbers give reason to doubt."""
    return (*curve.notes, *_cell_warnings(curve), *_seed_warnings(curve, decision), *_image_warning(curve))


def _cell_warnings(curve: CurveResults) -> list[str]:
    found = []
    for cell in curve.cells:
        if cell.diverged and not cell.mostly_diverged:
            found.append(
                f"At depth {cell.depth}, {cell.diverged} of {cell.ended} trainings ended in what is not a "
                f"number; they count with the error of a guess, {percent(curve.chance_error)}."
            )
        if cell.failed:
            found.append(
                f"At depth {cell.depth}, {_counted(cell.failed, 'training')} failed for reasons that say "
                "nothing about depth, and count for nothing."
            )
    missing = [cell.depth for cell in curve.cells if cell.missing]
    if missing:
        found.append(f"Trainings are still missing at depth {listed(missing)}.")
    if len({len(cell.train_errors) for cell in curve.cells if cell.ended and not cell.diverged}) > 1:
        found.append("Depths were trained under different numbers of seeds.")
    single = [cell.depth for cell in curve.cells if cell.ended == 1]
    if single and len(single) < len(curve.cells):
        found.append(f"One seed shows no spread: depth {listed(single)} took no part in the tests.")
    return found


def _seed_warnings(curve: CurveResults, decision: Decision) -> list[str]:
    tests = decision.tests
    shortage = find_shortage(tests) if tests and len(tests.cells) > 1 else None
    if shortage is None:
        return []
    found = []
    if shortage.seeds < FEW_SEEDS:
        found.append(f"{shortage.seeds} seeds a depth are few: use {FEW_SEEDS} or more.")
    if shortage.detectable > curve.smallest_difference:
        found.append(
            f"With {shortage.seeds} seeds a depth and the spread seen, differences of training error between "
            f"two depths below {points(shortage.detectable)} are missed in more than one study of five."
        )
    return found


def _image_warning(curve: CurveResults) -> list[str]:
    """Say how far the validation error stands for other images, where that is no small matter."""
    errors = [cell.val_error for cell in curve.cells if cell.val_errors]
    if not curve.val_images or not errors:
        return []
    worst = max(errors)
    low, high = share_interval(worst, curve.val_images)
    if (high - low) / 2 <= curve.smallest_difference:
        return []
    return [
        f"The validation error is that of {curve.val_images:,} images: on others {percent(worst)} might as "
        f"well be {percent(low)} or {percent(high)} (95 % interval), which no spread over seeds shows."
    ]


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
