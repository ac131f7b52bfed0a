"""The safeguards of the rule, each with a curve that it alone keeps from a claim."""

from __future__ import annotations

from dataclasses import replace

from archsearch.analysis.verdict_rule import Decision, decide
from tests.analysis.curves import PLAIN, Errors, curve

STILL: Errors = (0.001, 0.002, 0.001)


def around(mean: float, spread: float) -> Errors:
    return (mean - spread, mean, mean + spread)


def decided(train: dict[int, Errors], val: dict[int, Errors], **more: object) -> Decision:
    return decide(curve({depth: (train[depth], val[depth]) for depth in train}, **more))


def test_a_rise_on_few_validation_images_may_be_theirs() -> None:
    train = dict.fromkeys((8, 20, 56), STILL)
    val = {8: around(0.10, 0.002), 20: around(0.12, 0.002), 56: around(0.14, 0.002)}

    assert decided(train, val, val_images=10_000).kind == "overfitting"
    assert decided(train, val, val_images=100).kind != "overfitting"


def test_a_fall_of_the_validation_error_must_be_beyond_the_smallest_difference() -> None:
    train = dict.fromkeys((8, 20, 56), STILL)

    def fallen(by: float) -> Decision:
        steps = {8: 0.0, 20: 0.5, 56: 1.0}
        val = {depth: around(0.1 - by * step, 0.002) for depth, step in steps.items()}
        return decided(train, val, val_images=100_000)

    assert (fallen(0.05).kind, fallen(0.05).measure) == ("healthy", "val_error")
    # surely a fall, though hardly of more than one point
    assert fallen(0.012).kind == "saturated"


def test_a_fall_must_be_surer_than_a_rise() -> None:
    shallow, deep = around(0.06, 0.01), around(0.03, 0.01)
    val = {depth: around(0.2, 0.05) for depth in (8, 56)}

    # p is 0.011 in both directions: a rise is shown at 0.05, a fall at a quarter of it, 0.0125, and no more
    assert decided({8: shallow, 56: deep}, val).kind == "healthy"
    wider = {8: around(0.06, 0.012), 56: around(0.03, 0.012)}
    assert decided(wider, val).kind == "undecided"
    assert decided({8: wider[56], 56: wider[8]}, val).kind == "degradation"


def test_an_improvement_counts_for_nothing_where_the_deepest_may_be_worse_than_the_shallowest() -> None:
    train = {8: around(0.09, 0.001), 20: around(0.03, 0.001), 32: around(0.03, 0.001)}
    val = {depth: around(0.1, 0.05) for depth in (8, 20, 32, 56)}

    assert decided({**train, 56: around(0.03, 0.002)}, val).kind == "healthy"
    assert decided({**train, 56: (0.0, 0.02, 0.16)}, val).kind == "undecided"


def test_a_suspicious_rise_keeps_an_improved_curve_from_being_healthy() -> None:
    train = {8: around(0.20, 0.001), 20: around(0.03, 0.001), 32: around(0.04, 0.01)}
    val = {depth: around(0.2, 0.05) for depth in (8, 20, 32, 56)}

    found = decided({**train, 56: around(0.08, 0.025)}, val)

    assert (found.kind, found.reason) == ("undecided", "train_error")


def test_overfitting_needs_a_training_error_that_is_shown_to_stay() -> None:
    val = {8: around(0.10, 0.002), 20: around(0.15, 0.002), 56: around(0.20, 0.002)}

    assert decided(dict.fromkeys((8, 20, 56), STILL), val).kind == "overfitting"
    assert decided(dict.fromkeys((8, 20, 56), around(0.05, 0.03)), val).kind == "undecided"


def test_a_clear_but_uncertain_rise_of_the_validation_error_keeps_a_curve_from_being_saturated() -> None:
    train = dict.fromkeys((8, 20, 56), STILL)
    val = {8: around(0.10, 0.015), 20: around(0.115, 0.015), 56: around(0.13, 0.015)}

    found = decided(train, val)

    assert (found.kind, found.reason) == ("undecided", "val_error")
    slight = {8: around(0.10, 0.015), 20: around(0.105, 0.015), 56: around(0.11, 0.015)}
    assert decided(train, slight).kind == "saturated"


def test_gradients_that_vanish_only_later_do_not_explain_a_degradation() -> None:
    known = curve(PLAIN)

    def with_initial(ratio: float) -> str:
        cells = tuple(
            replace(cell, initial_gradient_ratios=(ratio,), gradient_ratios=(1e-12, 2e-12))
            for cell in known.cells
        )
        return decide(replace(known, cells=cells)).kind

    assert with_initial(1e-9) == "vanishing_gradients"
    assert with_initial(0.5) == "degradation"
