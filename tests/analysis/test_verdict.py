"""Verdicts on curves written down by hand: every kind, every way to be undecided, every warning."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from scipy import stats

from archsearch.analysis import CellResults, CurveResults, judge
from archsearch.analysis.verdict_rule import decide
from tests.analysis.curves import HEALTHY, NOISY, OVERFITTING, PLAIN, RESIDUAL, curve, of_cells

VANISHING = {8: 0.5, 20: 0.01, 32: 1e-6, 56: 1e-12}


def with_gradients(known: CurveResults, ratios: dict[int, float], **initial: float) -> CurveResults:
    """The curve with gradient ratios by depth, three seeds that differ a little."""
    cells = []
    for cell in known.cells:
        during = tuple(ratios[cell.depth] * factor for factor in (0.8, 1.0, 1.2))
        start = (initial["initial"],) if initial else during
        cells.append(replace(cell, gradient_ratios=during, initial_gradient_ratios=start))
    return replace(known, cells=tuple(cells))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (PLAIN, "degradation"),
        (RESIDUAL, "saturated"),
        (HEALTHY, "healthy"),
        (OVERFITTING, "overfitting"),
        (NOISY, "undecided"),
    ],
)
def test_each_kind(cells: dict, kind: str) -> None:
    assert judge(curve(cells)).kind == kind


def test_the_sentence_names_epochs_depths_errors_and_p() -> None:
    assert judge(curve(PLAIN)).sentence == (
        "At 12 epochs, block=plain: degrades. Its training error rises from 0.00 % at depth 8 to 56.5 % at "
        "depth 56 (p < 0.0001): optimisation fails, this is not overfitting."
    )
    assert judge(curve(HEALTHY, epochs=1)).sentence.startswith(
        "At 1 epoch, block=plain: healthy. Its training error falls from 5.0 % at depth 8 to 1.0 % at "
    )
    assert "while its training error falls." in judge(curve(OVERFITTING)).sentence
    assert "differs by less than 1 point" in judge(curve(RESIDUAL)).sentence


def test_degradation_behind_an_improvement_says_where_it_begins() -> None:
    cells = {8: ((0.3, 0.31, 0.29), (0.3, 0.31, 0.29)), **{d: PLAIN[d] for d in (20, 32, 56)}}

    verdict = judge(curve(cells))

    assert verdict.kind == "degradation"
    assert "degrades beyond depth 20. Its training error rises from 0.27 % at depth 20" in verdict.sentence


def test_a_significant_rise_too_small_to_matter_is_no_degradation() -> None:
    small = {
        depth: ((0.001 * place,) * 3, (0.05, 0.051, 0.05)) for place, depth in enumerate((8, 20, 32, 56))
    }

    assert judge(curve(small)).kind == "saturated"
    assert judge(curve(small, smallest_difference=0.002)).kind == "degradation"


def test_vanishing_and_exploding_gradients_explain_a_degradation() -> None:
    plain = curve(PLAIN)
    exploding = {depth: 1 / ratio for depth, ratio in VANISHING.items()}

    verdict = judge(with_gradients(plain, VANISHING))
    assert verdict.kind == "vanishing_gradients"
    assert "at depth 56 gradients in the first layers are 9.9e-13 times those in the last" in verdict.sentence
    assert judge(with_gradients(plain, exploding)).kind == "exploding_gradients"


def test_gradients_explain_nothing_where_nothing_fails_or_only_the_start_is_bad() -> None:
    assert judge(with_gradients(curve(RESIDUAL), VANISHING)).kind == "saturated"
    mended = with_gradients(curve(PLAIN), dict.fromkeys(PLAIN, 2.0), initial=1e5)
    assert judge(mended).kind == "degradation"
    uneven = with_gradients(curve(PLAIN), VANISHING)
    deepest = replace(uneven.cells[-1], gradient_ratios=(1e-12, 0.5, 0.6))
    assert judge(replace(uneven, cells=(*uneven.cells[:-1], deepest))).kind == "degradation"


def test_networks_that_never_learn_are_not_called_saturated() -> None:
    stuck = curve(dict.fromkeys((20, 50, 100), ((0.9, 0.899, 0.9), (0.9, 0.9, 0.9))))

    verdict = judge(stuck)
    assert (verdict.kind, verdict.deciding[:27]) == ("undecided", "Include shallower networks,")
    assert "No network of this curve learned anything" in verdict.sentence
    assert judge(with_gradients(stuck, {20: 1e-5, 50: 1e-9, 100: 1e-20})).kind == "vanishing_gradients"


def test_a_depth_that_mostly_ends_in_no_number_diverged() -> None:
    cells = [CellResults(depth, *PLAIN[depth]) for depth in (8, 20)]
    gone = CellResults(56, (0.1,), (0.1,), diverged=2)

    verdict = judge(of_cells(*cells, gone))

    assert verdict.kind == "diverged"
    assert "2 of 3 trainings at depth 56 ended in what is not a number" in verdict.sentence
    assert "The other depths by themselves: saturated." in verdict.sentence
    assert verdict.evidence["diverged_depths"] == [56]
    assert (
        judge(of_cells(*cells, replace(gone, initial_gradient_ratios=(1e6,)))).kind == "exploding_gradients"
    )


def test_a_few_that_diverged_count_as_a_guess_and_keep_a_curve_from_looking_well() -> None:
    cells = [CellResults(depth, *RESIDUAL[depth]) for depth in RESIDUAL]
    cells[-1] = CellResults(56, (0.0,) * 2, (0.02,) * 2, diverged=1)

    verdict = judge(of_cells(*cells))

    assert verdict.kind == "undecided"
    assert (
        "At depth 56, 1 of 3 trainings ended in what is not a number; they count with the error of a guess, "
        "90.0 %."
    ) in verdict.warnings
    assert verdict.deciding.startswith("Make training stable at depth 56, by a lower learning rate")
    many = CellResults(56, (0.0, 0.001) * 3, (0.02,) * 6, diverged=5)
    assert judge(of_cells(*cells[:-1], many)).kind == "degradation"


def test_searched_is_not_swept() -> None:
    searched = curve(PLAIN, swept=False, deciding_study="name: x\n")

    verdict = judge(searched)

    assert verdict.kind == "undecided"
    assert "undecided: searched, not swept." in verdict.sentence
    assert verdict.deciding_study == "name: x\n"


@pytest.mark.parametrize(
    ("cells", "reason", "deciding"),
    [
        ({8: PLAIN[8]}, "No two depths", "Sweep at least two depths, better four."),
        ({}, "No two depths", "Sweep at least two depths, better four."),
        (
            {8: ((0.1,), (0.1,)), 20: ((0.5,), (0.5,))},
            "With one seed",
            "Train every depth under at least 3 seeds.",
        ),
    ],
)
def test_too_little_is_undecided(cells: dict, reason: str, deciding: str) -> None:
    verdict = judge(curve(cells))

    assert (verdict.kind, verdict.deciding) == ("undecided", deciding)
    assert f"undecided. {reason}" in verdict.sentence


def test_noise_is_undecided_and_the_seeds_that_would_decide_are_counted() -> None:
    mild = {
        depth: tuple(tuple(error / 4 for error in errors) for errors in both) for depth, both in NOISY.items()
    }
    # at the ends, by the normal approximation: (1.645 + 1.282)^2 (0.0125^2 + 0.015^2) / 0.01^2 = 33
    assert judge(curve(mild)).deciding == "About 34 seeds a depth would decide it, at the spread seen so far."
    assert "No affordable number of seeds" in judge(curve(NOISY, smallest_difference=0.001)).deciding


def test_notes_and_failures_stand_beside_a_verdict_and_do_not_change_it() -> None:
    bare = curve(PLAIN)
    doubted = replace(
        bare,
        notes=("The best learning rate lies at the edge of its range.",),
        cells=tuple(replace(cell, failed=1, missing=2) for cell in bare.cells),
    )

    plain, verdict = judge(bare), judge(doubted)

    assert (verdict.kind, verdict.sentence) == (plain.kind, plain.sentence)
    assert verdict.warnings[0] == "The best learning rate lies at the edge of its range."
    assert (
        "At depth 8, 1 training failed for reasons that say nothing about depth, and count for nothing."
        in (verdict.warnings)
    )
    assert "Trainings are still missing at depth 8, 20, 32 and 56." in verdict.warnings


def test_few_seeds_and_few_images_are_warned_of() -> None:
    two = {depth: (train[:2], val[:2]) for depth, (train, val) in HEALTHY.items()}

    warnings = judge(curve(two, val_images=200)).warnings

    assert "2 seeds a depth are few: use 3 or more." in warnings
    assert any(warning.startswith("The validation error is that of 200 images") for warning in warnings)
    assert judge(curve(HEALTHY, val_images=50_000)).warnings == ()


def test_the_smallest_detectable_difference_is_named() -> None:
    (warning,) = (w for w in judge(curve(NOISY)).warnings if "are missed" in w)

    # over 3 seeds: 0.0507 * sqrt(2/3) * 3.7634, the shift found by a t test of 4 degrees
    assert "below 15.6 points are missed in more than one study of five" in warning


def test_a_depth_of_one_seed_takes_no_part() -> None:
    cells = {**PLAIN, 110: ((0.0,), (0.0,))}
    verdict = judge(curve(cells))

    assert (verdict.kind, verdict.sentence) == ("degradation", judge(curve(PLAIN)).sentence)
    assert "One seed shows no spread: depth 110 took no part in the tests." in verdict.warnings


def test_validation_errors_may_be_unknown() -> None:
    train_only = of_cells(*(CellResults(depth, train) for depth, (train, _) in PLAIN.items()))

    assert judge(train_only).kind == "degradation"


def test_the_evidence_holds_intervals_tests_and_effect_sizes_and_is_json() -> None:
    evidence = judge(curve(HEALTHY)).evidence
    json.dumps(evidence, allow_nan=False)

    expected = stats.ttest_1samp(HEALTHY[8][0], 0).confidence_interval()
    cell = evidence["cells"][0]["train_error"]
    assert (cell["low"], cell["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    wilson = stats.binomtest(56, 1000).proportion_ci(method="wilson")
    val = evidence["cells"][2]["val_error"]
    assert val["other_images"] == pytest.approx([wilson.low, wilson.high], abs=0.002)
    decisive = evidence["decisive"]
    assert (decisive["from_depth"], decisive["to_depth"], decisive["measure"]) == (8, 56, "train_error")
    assert decisive["p_adjusted"] < 0.01
    assert decisive["effect_size"] < -10
    assert {row["direction"] for row in evidence["tests"]} == {"rise", "fall"}
    assert evidence["slopes"]["train_error"]["rank_correlation"] < -0.8
    assert evidence["equivalence"]["train_error"] > 0.99


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_curve_without_any_spread_is_saturated(value: float) -> None:
    same = dict.fromkeys((8, 20), ((value,) * 2, (value,) * 2))

    assert decide(curve(same, classes=None, train_images=None, val_images=None)).kind == "saturated"


def test_order_and_scale_of_depth_do_not_decide() -> None:
    """The same errors at depths ten times as large: trends run over logarithms."""
    scaled = {depth * 10: errors for depth, errors in NOISY.items()}

    one, other = judge(curve(NOISY)), judge(curve(scaled))

    assert one.kind == other.kind
    assert [row["p"] for row in one.evidence["tests"]] == pytest.approx(
        [row["p"] for row in other.evidence["tests"]]
    )
