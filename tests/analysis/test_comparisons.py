"""The table of comparisons: which pairs, Welch's numbers, Holm's correction over each question."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archsearch.analysis import CellComparison, compare_curves, read_curves
from archsearch.journal import StudyHistory, TrialHistory
from tests.analysis.curves import PLAIN, RESIDUAL
from tests.analysis.test_curve_reading import history
from tests.analysis.trials import cell, trial


def measured(known: dict, block: str, first: int, **more: object) -> list[TrialHistory]:
    trials = []
    for number, (depth, (train, val)) in enumerate(known.items(), start=first):
        errors = {
            seed: {"train_error": one, "val_error": two}
            for seed, (one, two) in enumerate(zip(train, val, strict=True))
        }
        trials.append(trial(number, depth, errors, block=block, cell=cell(block, depth, **more)))
    return trials


def study(*trials: TrialHistory) -> StudyHistory:
    return history(*trials, classes=10)


def rows(found: list[CellComparison], question: str, measure: str = "train_error") -> list[CellComparison]:
    return [row for row in found if row.question == question and row.measure == measure]


@pytest.fixture
def found() -> list[CellComparison]:
    return compare_curves(
        read_curves(study(*measured(PLAIN, "plain", 0), *measured(RESIDUAL, "residual", 10)))
    )


def test_two_blocks_are_compared_at_each_depth(found: list[CellComparison]) -> None:
    shown = rows(found, "same depth")
    expected = [
        stats.ttest_ind(RESIDUAL[depth][0], PLAIN[depth][0], equal_var=False).pvalue for depth in (20, 32, 56)
    ]

    assert [row.first for row in shown] == [f"block=plain depth={depth}" for depth in (8, 20, 32, 56)]
    assert [row.second for row in shown] == [f"block=residual depth={depth}" for depth in (8, 20, 32, 56)]
    assert [row.p for row in shown] == pytest.approx([1.0, *expected])
    # of four, the smallest counts fourfold
    assert shown[3].p_adjusted == pytest.approx(4 * expected[2])
    assert shown[3].difference == pytest.approx(np.mean(RESIDUAL[56][0]) - np.mean(PLAIN[56][0]))
    assert shown[3].sentence == (
        "block=residual depth=56 against block=plain depth=56: training error 56.5 points lower, 0.03 % and "
        "56.5 % (p = 0.0006)."
    )


def test_each_depth_is_compared_with_the_best_shallower_one_in_the_family_of_all_pairs(
    found: list[CellComparison],
) -> None:
    shown = [row for row in rows(found, "deeper") if row.first.startswith("block=plain")]

    assert [(row.first[-8:], row.second[-8:]) for row in shown] == [
        (" depth=8", "depth=20"),
        (" depth=8", "depth=32"),
        (" depth=8", "depth=56"),
    ]
    plain_56 = stats.ttest_ind(PLAIN[56][0], PLAIN[20][0], equal_var=False).pvalue
    against_8 = stats.ttest_ind(PLAIN[56][0], PLAIN[8][0], equal_var=False).pvalue
    # six pairs a curve, twelve in all; the pair of 56 and 20 is the other one that may come first
    rank = 12 if against_8 < plain_56 else 11
    assert shown[2].p_adjusted == pytest.approx(rank * against_8)


def test_the_shortcut_changes_the_slope_with_depth(found: list[CellComparison]) -> None:
    (row,) = rows(found, "slopes")
    depths = np.log2(list(PLAIN))

    assert row.first_mean == pytest.approx(np.polyfit(depths, [np.mean(e[0]) for e in PLAIN.values()], 1)[0])
    assert row.difference == pytest.approx(row.second_mean - row.first_mean)
    assert row.p_adjusted == row.p < 0.001
    assert row.effect_size is None


def test_curves_that_differ_in_two_values_are_not_compared_and_unused_values_do_not_count() -> None:
    optimizer = "training.optimizer"
    readings = read_curves(
        study(
            *measured(PLAIN, "plain", 0, **{optimizer: "sgd"}),
            *measured(RESIDUAL, "residual", 10, **{optimizer: "adam"}),
            *measured(RESIDUAL, "residual", 20, **{optimizer: "sgd", "architecture.shortcut": "pad"}),
        )
    )

    found = {(row.first, row.second) for row in rows(compare_curves(readings), "slopes")}

    assert [reading.results.label for reading in readings] == [
        "block=plain training.optimizer=sgd",
        "block=residual training.optimizer=adam",
        "block=residual training.optimizer=sgd shortcut=pad",
    ]
    assert found == {
        ("block=plain training.optimizer=sgd", "block=residual training.optimizer=sgd shortcut=pad"),
        ("block=residual training.optimizer=adam", "block=residual training.optimizer=sgd shortcut=pad"),
    }


def test_a_network_of_another_depth_than_asked_for_stands_at_the_depth_asked_for() -> None:
    dense = [
        trial(
            20 + place,
            depth - 1,
            {0: {"train_error": 0.1, "val_error": 0.1}, 1: {"train_error": 0.2, "val_error": 0.2}},
            block="dense",
            cell=cell("dense", depth),
        )
        for place, depth in enumerate((8, 20))
    ]

    found = compare_curves(read_curves(study(*measured(PLAIN, "plain", 0), *dense)))

    assert [(row.first, row.second) for row in rows(found, "same depth")] == [
        ("block=plain depth=8", "block=dense depth=7"),
        ("block=plain depth=20", "block=dense depth=19"),
    ]


def test_nothing_is_compared_where_one_seed_shows_no_spread() -> None:
    single = {depth: (train[:1], val[:1]) for depth, (train, val) in PLAIN.items()}

    assert compare_curves(read_curves(study(*measured(single, "plain", 0)))) == []
