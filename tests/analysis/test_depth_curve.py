"""Trials become curves: by their swept values, or, of a search, by their block."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from archsearch.analysis import depth_curves
from archsearch.journal import ReplicateHistory, TrialHistory
from tests.analysis.trials import cell, trial

TRAIN = {0: {"train_error": 0.1, "val_error": 0.2}, 1: {"train_error": 0.3, "val_error": 0.6}}


def test_cells_that_differ_in_depth_alone_are_one_curve_the_shallowest_first() -> None:
    trials = [
        trial(number, depth, TRAIN, block=block, cell=cell(block, depth))
        for number, (block, depth) in enumerate([("plain", 20), ("residual", 8), ("plain", 8)])
    ]

    curves = depth_curves(trials)

    assert [(curve.label, curve.family, curve.joined) for curve in curves] == [
        ("block=plain", "plain", True),
        ("block=residual", "residual", True),
    ]
    assert [[point.depth for point in curve.points] for curve in curves] == [[8, 20], [8]]
    assert [point.trial for point in curves[0].points] == [2, 0]


def test_a_point_has_the_errors_of_each_seed_their_mean_and_deviation() -> None:
    (curve,) = depth_curves([trial(0, 8, TRAIN, cell=cell("plain", 8))])
    (point,) = curve.points

    assert point.errors == {"train_error": (0.1, 0.3), "val_error": (0.2, 0.6)}
    assert point.mean("val_error") == pytest.approx(statistics.mean([0.2, 0.6]))
    assert point.std("val_error") == pytest.approx(statistics.stdev([0.2, 0.6]))
    assert (point.parameters, point.macs) == (8000, 80)


def test_one_seed_has_no_deviation_and_a_test_error_counts_where_it_was_read() -> None:
    errors = {0: {"train_error": 0.1, "val_error": 0.2, "test_error": 0.25}}
    (curve,) = depth_curves([trial(0, 8, errors, cell=cell("plain", 8))])
    (point,) = curve.points

    assert point.std("val_error") is None
    assert point.errors["test_error"] == (0.25,)


def test_other_swept_values_separate_curves() -> None:
    swept = [("adam", 8), ("adam", 20), ("sgd", 8)]
    trials = [
        trial(number, depth, TRAIN, cell=cell("plain", depth, **{"training.optimizer": optimizer}))
        for number, (optimizer, depth) in enumerate(swept)
    ]

    labels = [curve.label for curve in depth_curves(trials)]

    assert len(labels) == 2
    assert "adam" in labels[0]
    assert "sgd" in labels[1]


def test_a_sweep_of_searches_shows_each_cells_confirmation_alone() -> None:
    searched = [trial(n, 8, TRAIN, phase="search", cell=cell("plain", 8)) for n in range(3)]
    confirmed = trial(3, 8, TRAIN, phase="confirm", cell=cell("plain", 8))

    (curve,) = depth_curves([*searched, confirmed])

    assert [point.trial for point in curve.points] == [3]


def test_of_a_search_that_has_grown_the_newest_confirmation_is_on_the_line() -> None:
    trials = [
        *[
            trial(n, depth, TRAIN, phase="confirm", cell=cell("plain", depth))
            for n, depth in enumerate((8, 20))
        ],
        trial(2, 8, TRAIN, phase="confirm", cell=cell("plain", 8)),
        # not one seed of it has ended
        replace(trial(3, 20, {}, phase="confirm", cell=cell("plain", 20)), outcome=None, seeds=(0,)),
    ]

    curves = depth_curves(trials)

    assert [(curve.label, curve.joined) for curve in curves] == [
        ("block=plain", True),
        ("block=plain, other confirmations", False),
    ]
    assert [[point.trial for point in curve.points] for curve in curves] == [[2, 1], [0]]


def test_of_several_objectives_what_ranks_first_is_on_the_line() -> None:
    def tried(number: int, rate: float, accuracy: float, phase: str) -> TrialHistory:
        known = trial(number, 8, TRAIN, phase=phase, cell=cell("plain", 8))
        values = {"training.learning_rate": rate}
        return replace(known, values=values, objective_values=(accuracy, 100 * accuracy))

    searched = [tried(n, rate, rate, "search") for n, rate in enumerate((0.1, 0.2))]
    confirmed = [tried(n, rate, 0.5, "confirm") for n, rate in ((2, 0.2), (3, 0.1))]

    best, others = depth_curves([*searched, *confirmed], {"val_accuracy": "maximize", "macs": "minimize"})

    assert [point.trial for point in best.points] == [2]
    assert [point.trial for point in others.points] == [3]


def test_a_search_shows_what_it_tried_unjoined_beside_what_was_confirmed() -> None:
    trials = [
        trial(0, 8, TRAIN, phase="search"),
        trial(1, 8, TRAIN, phase="search", block="residual"),
        trial(2, 20, TRAIN, phase="search"),
        trial(3, 20, {}, phase="search", outcome="failed"),
        trial(4, 8, TRAIN, phase="confirm"),
    ]

    curves = depth_curves(trials)

    assert {curve.label: [point.trial for point in curve.points] for curve in curves} == {
        "block=plain, tried by the search": [0, 2],
        "block=residual, tried by the search": [1],
        "block=plain, confirmed": [4],
    }
    assert not any(curve.joined for curve in curves)


def test_each_baseline_stands_for_itself() -> None:
    trials = [
        trial(0, 20, TRAIN, phase="include", block="residual", name="resnet20"),
        trial(1, 20, TRAIN, phase="include", name="plain20"),
        trial(2, 20, TRAIN, cell=cell("plain", 20)),
    ]

    curves = depth_curves(trials)

    assert [curve.label for curve in curves] == ["baseline resnet20", "baseline plain20", "block=plain"]
    assert [curve.family for curve in curves] == ["residual", "plain", "plain"]


@pytest.mark.parametrize("outcome", ["pruned", "infeasible"])
def test_a_trial_without_a_value_is_no_point(outcome: str) -> None:
    assert depth_curves([trial(0, 8, TRAIN, cell=cell("plain", 8), outcome=outcome)]) == []


def test_a_cell_of_which_a_seed_failed_or_is_missing_stays_on_its_curve() -> None:
    known = trial(0, 8, {0: {"train_error": 0.1, "val_error": 0.2}}, cell=cell("plain", 8))
    failed = replace(known, outcome="failed", objective_values=None, seeds=(0, 1))
    failed = replace(failed, replicates={**known.replicates, 1: ReplicateHistory(1, outcome="failed")})
    running = replace(known, number=1, outcome=None, objective_values=None, seeds=(0, 1))
    running = replace(running, architecture={"block": "plain", "depth": 20}, cell=cell("plain", 20))
    whole = trial(2, 32, TRAIN, cell=cell("plain", 32))
    nothing = trial(3, 56, {}, cell=cell("plain", 56), outcome="failed")
    nothing = replace(nothing, replicates={0: ReplicateHistory(0, outcome="failed")})

    for trials in ([failed, running, whole, nothing], [failed, running, nothing]):
        (curve,) = depth_curves(trials)
        seen = [(point.depth, point.failed, point.errors.get("val_error")) for point in curve.points]
        assert seen[:2] == [(8, 1, (0.2,)), (20, 0, (0.2,))]
        assert seen[-1] == (56, 1, None)


def test_no_trials_make_no_curves() -> None:
    assert depth_curves([]) == []
