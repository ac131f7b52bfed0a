"""From a journal's history to curves: complete results, failures, what is missing, doubts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archsearch.analysis import judge, read_curves
from archsearch.journal import ReplicateHistory, StudyHistory, TrialHistory
from archsearch.study import parse_study
from tests.analysis.trials import cell, trial

ERRORS = {0: {"train_error": 0.1, "val_error": 0.2}, 1: {"train_error": 0.3, "val_error": 0.6}}
SPACES = Path(__file__).parents[2] / "search_spaces"


def history(*trials: TrialHistory, **header: Any) -> StudyHistory:
    return StudyHistory(header=header, trials={trial.number: trial for trial in trials})


def on(trial: TrialHistory, classes: int, train_images: int, val_images: int) -> TrialHistory:
    """The trial on so many images."""
    return replace(trial, classes=classes, train_images=train_images, val_images=val_images)


def test_cells_that_differ_in_depth_alone_are_one_curve() -> None:
    trials = [
        trial(0, 20, ERRORS, cell=cell("plain", 20)),
        trial(1, 8, ERRORS, cell=cell("plain", 8)),
        trial(2, 8, ERRORS, block="residual", cell=cell("residual", 8)),
        trial(3, 20, ERRORS, phase="include"),
    ]
    readings = read_curves(history(*(on(one, 10, 1151, 287) for one in trials)))

    assert [reading.results.label for reading in readings] == ["block=plain", "block=residual"]
    plain = readings[0]
    assert [trial.number for trial in plain.trials] == [1, 0]
    assert plain.shared == {"architecture.block": "plain"}
    assert [c.depth for c in plain.results.cells] == [8, 20]
    assert plain.results.cells[0].train_errors == (0.1, 0.3)
    assert plain.results.cells[0].val_errors == (0.2, 0.6)
    assert (plain.results.epochs, plain.results.classes) == (plain.trials[0].training["epochs"], 10)
    assert (plain.results.train_images, plain.results.val_images) == (1151, 287)


def test_what_failed_and_what_is_missing_is_counted() -> None:
    known = trial(0, 8, ERRORS, cell=cell("plain", 8))
    ends = {
        2: ReplicateHistory(2, outcome="failed", reason="not a number in epoch 3"),
        3: ReplicateHistory(3, outcome="failed", reason="out of memory"),
        4: ReplicateHistory(4),
        5: ReplicateHistory(5, outcome="lost"),
        6: ReplicateHistory(6, outcome="complete", metrics={"train_error": float("nan"), "val_error": 0.9}),
    }
    known = replace(known, seeds=tuple(range(8)), replicates={**known.replicates, **ends})

    (reading,) = read_curves(history(known))

    (found,) = reading.results.cells
    assert (found.train_errors, found.diverged, found.failed, found.missing) == ((0.1, 0.3), 2, 1, 3)


def test_of_a_cells_search_only_its_confirmation_counts() -> None:
    trials = [trial(n, 8, ERRORS, phase="search", cell=cell("plain", 8)) for n in range(3)]
    confirmed = trial(3, 8, ERRORS, phase="confirm", cell=cell("plain", 8))

    (reading,) = read_curves(
        history(*trials, trial(4, 20, ERRORS, phase="search", cell=cell("plain", 20)), confirmed)
    )

    assert [t.number for t in reading.trials] == [3]
    assert reading.results.swept
    assert judge(reading.results).sentence.endswith("undecided. No two depths have results to compare.")


def test_each_curve_is_judged_by_the_images_it_was_trained_on() -> None:
    folds = [
        on(trial(n, 8, ERRORS, cell=cell("plain", 8, **{"data.classes": n})), n, 100 * n, 10 * n)
        for n in (2, 5)
    ]

    two, five = (reading.results for reading in read_curves(history(*folds, classes=10, val_images=287)))

    assert (two.classes, two.train_images, two.val_images) == (2, 200, 20)
    assert (five.classes, five.train_images, five.val_images) == (5, 500, 50)


def test_where_depths_have_unequal_images_the_fewest_count_and_that_is_noted() -> None:
    one = on(trial(0, 8, ERRORS, phase="confirm", cell=cell("plain", 8)), 10, 1000, 287)
    other = on(trial(1, 20, ERRORS, phase="confirm", cell=cell("plain", 20)), 10, 2000, 100)

    (reading,) = read_curves(history(one, other))

    assert (reading.results.train_images, reading.results.val_images) == (1000, 100)
    assert reading.results.notes == (
        "Depths have unequal numbers of training images, 1,000 and 2,000: the tests take the smallest.",
        "Depths have unequal numbers of validation images, 100 and 287: the tests take the smallest.",
    )


def test_of_a_search_that_has_grown_the_newest_confirmation_counts() -> None:
    searched = [trial(n, 8, ERRORS, phase="search", cell=cell("plain", 8)) for n in range(2)]
    before, after = (trial(n, 8, ERRORS, phase="confirm", cell=cell("plain", 8)) for n in (2, 4))
    # what it found may have another depth, where a cell's depth is that of the nearest network
    deeper = trial(5, 14, ERRORS, phase="confirm", cell=cell("plain", 12))
    nearest = trial(3, 11, ERRORS, phase="confirm", cell=cell("plain", 12))

    (reading,) = read_curves(history(*searched, before, nearest, after, deeper))

    assert [t.number for t in reading.trials] == [4, 5]


def test_of_several_objectives_the_confirmation_of_what_ranks_first_counts() -> None:
    def tried(number: int, rate: float, accuracy: float, macs: float, phase: str = "search") -> TrialHistory:
        known = trial(number, 8, ERRORS, phase=phase, cell=cell("plain", 8))
        values = {"training.learning_rate": rate}
        return replace(known, values=values, objective_values=(accuracy, macs))

    trials = [
        tried(0, 0.1, 0.7, 20),
        tried(1, 0.2, 0.8, 30),
        tried(2, 0.3, 0.6, 10),
        tried(3, 0.1, 0.5, 20, "confirm"),
        tried(4, 0.2, 0.5, 30, "confirm"),
        tried(5, 0.3, 0.9, 10, "confirm"),
    ]

    (reading,) = read_curves(history(*trials, objectives={"val_accuracy": "maximize", "macs": "minimize"}))

    assert [t.number for t in reading.trials] == [4]


def test_depths_that_a_search_chose_all_stay() -> None:
    confirmed = [
        replace(trial(n, depth, ERRORS, phase="confirm"), values={"architecture.depth": depth})
        for n, depth in enumerate((20, 8))
    ]

    (reading,) = read_curves(history(*confirmed))

    assert [t.number for t in reading.trials] == [1, 0]


def test_a_searched_depth_is_not_swept_and_comes_with_the_sweep_that_would_decide() -> None:
    found = replace(trial(0, 8, ERRORS, phase="search"), values={"architecture.depth": 8})
    text = (SPACES / "resnet_space.yaml").read_text(encoding="utf-8")

    question = {"text": text, "source": "resnet_space.yaml"}
    (reading,) = read_curves(replace(history(found), question=question))

    assert not reading.results.swept
    sweep = parse_study(reading.results.deciding_study, "sweep.yaml")
    assert {dimension.label for dimension in sweep.sweep} == {"depth", "block"}
    assert judge(reading.results).deciding_study == reading.results.deciding_study


def test_infeasible_trials_make_no_curve() -> None:
    assert read_curves(history(trial(0, 8, {}, cell=cell("plain", 8), outcome="infeasible"))) == []


def test_unequal_schedules_are_noted() -> None:
    one = replace(trial(0, 8, ERRORS, cell=cell("plain", 8)), training={"epochs": 10})
    other = replace(trial(1, 20, ERRORS, cell=cell("plain", 20)), training={"epochs": 20})

    (reading,) = read_curves(history(one, other))

    assert reading.results.notes == ("Depths were trained under unequal epochs: 10 and 20.",)
    assert reading.results.epochs == 20


@pytest.mark.parametrize(
    ("rate", "log", "noted"),
    [(0.3, True, True), (0.003, True, True), (0.03, True, False), (0.01, True, False), (0.01, False, True)],
)
def test_the_best_learning_rate_at_the_edge_of_its_range_is_noted(
    rate: float, log: bool, noted: bool
) -> None:
    span = {"low": 0.003, "high": 0.3, "log": log, "step": None, "when": {}}
    confirmed = trial(0, 8, ERRORS, phase="confirm", cell=cell("plain", 8))
    confirmed = replace(confirmed, values={"training.learning_rate": rate})

    (reading,) = read_curves(history(confirmed, identity={"search": {"training.learning_rate": span}}))

    expected = (
        "The best training.learning_rate at depth 8 lies at the edge of its range, 0.003 to 0.3: beyond it "
        "there may be a better one."
    )
    assert reading.results.notes == ((expected,) if noted else ())


@pytest.mark.parametrize(
    ("losses", "error", "noted"),
    [
        ([1.0, 0.5, 0.4, 0.3], 0.1, True),
        ([1.0, 0.5, 0.4, 0.39], 0.1, False),
        ([1.0, 0.5, 0.4, 0.3], 0.0, False),
        ([1.0], 0.1, False),
    ],
)
def test_a_network_that_still_improves_at_the_end_is_noted(
    losses: list[float], error: float, noted: bool
) -> None:
    known = trial(0, 8, {0: {"train_error": error, "val_error": 0.2}}, cell=cell("plain", 8))
    epochs = tuple({"train_loss": loss} for loss in losses)
    known = replace(known, replicates={0: replace(known.replicates[0], epochs=epochs)})

    (reading,) = read_curves(history(known))

    expected = "At depth 8 the training loss was still falling at the end: train longer."
    assert reading.results.notes == ((expected,) if noted else ())


@pytest.mark.parametrize(
    ("question", "added", "smallest", "level"),
    [
        ({}, 0, 0.01, 0.05),
        ({"smallest_difference": 0.02, "seeds": {"fewest": 2, "most": 2}}, 0, 0.02, 0.05),
        # the first look of several, and the second of three, the later of which share the rest
        ({"smallest_difference": 0.02, "seeds": {"fewest": 2, "most": 4}}, 0, 0.02, 0.025),
        ({"smallest_difference": 0.02, "seeds": {"fewest": 2, "most": 4}}, 1, 0.02, 0.0125),
    ],
)
def test_the_margin_and_the_looks_are_those_of_the_study(
    question: dict[str, Any], added: int, smallest: float, level: float
) -> None:
    grown = replace(trial(1, 20, ERRORS), seeds=tuple(range(2 + added)))
    known = history(trial(0, 8, ERRORS), grown)
    (reading,) = read_curves(replace(known, question=question, looks=added))

    assert reading.results.smallest_difference == smallest
    assert reading.results.level == level


def test_a_verdict_that_was_reached_stays_though_another_curve_is_given_seeds() -> None:
    def known(number: int, block: str, depth: int, errors: Sequence[float]) -> TrialHistory:
        found = {seed: {"train_error": e, "val_error": e} for seed, e in enumerate(errors)}
        return trial(number, depth, found, block=block, cell=cell(block, depth))

    trials = [
        known(0, "plain", 8, (0.0, 0.01, 0.02)),
        known(1, "plain", 20, (0.028, 0.038, 0.048)),
        known(2, "residual", 8, (0.0, 0.02, 0.04)),
        known(3, "residual", 20, (0.01, 0.02, 0.03)),
    ]
    question = {"seeds": {"fewest": 3, "most": 5}}
    first = [reading.results for reading in read_curves(replace(history(*trials), question=question))]
    trials[2] = replace(trials[2], seeds=(0, 1, 2, 3))
    later = [r.results for r in read_curves(replace(history(*trials), question=question, looks=1))]

    assert [results.level for results in first] == [0.025, 0.025]
    assert [judge(results).kind for results in first] == ["degradation", "undecided"]
    assert [results.level for results in later] == [0.025, 0.0125]
    assert [judge(results).kind for results in later] == ["degradation", "undecided"]


def test_depths_without_a_result_are_noted_and_why() -> None:
    cells = [cell("plain", depth) for depth in (8, 20, 32, 56, 110)] + [cell("residual", 999)]
    trials = [
        trial(0, 8, ERRORS, cell=cells[0]),
        trial(1, 20, ERRORS, cell=cells[1]),
        replace(trial(2, 56, {}, cell=cells[3]), outcome="infeasible"),
    ]
    (reading,) = read_curves(replace(history(*trials), question={"cells": cells}))

    assert reading.results.notes == (
        "Nothing was trained to the end at depth 32 and 110 yet.",
        "No network of depth 56 meets what the study asks for.",
    )


def test_cells_that_were_searched_and_never_confirmed_say_nothing_about_depth() -> None:
    searched = [
        trial(n, depth, ERRORS, phase="search", cell=cell("plain", depth)) for n, depth in enumerate((8, 20))
    ]
    (reading,) = read_curves(history(*searched))

    verdict = judge(reading.results)
    assert verdict.kind == "undecided"
    assert "what its search tried, under one seed" in verdict.sentence
    assert verdict.deciding.startswith("Add seeds")


@pytest.mark.parametrize(("rate", "noted"), [(0.01, True), (0.1, False), (1.0, True)])
def test_of_rates_to_choose_from_the_ends_are_the_edge(rate: float, noted: bool) -> None:
    confirmed = trial(0, 8, ERRORS, phase="confirm", cell=cell("plain", 8))
    confirmed = replace(confirmed, values={"training.learning_rate": rate})
    choice = {"choice": [0.1, 0.01, 1.0], "when": {}}

    (reading,) = read_curves(history(confirmed, identity={"search": {"training.learning_rate": choice}}))

    assert bool(reading.results.notes) == noted


def test_one_that_breaks_in_its_first_epoch_still_tells_its_first_gradients() -> None:
    broken = replace(
        trial(0, 8, ERRORS, cell=cell("plain", 8)),
        replicates={
            0: ReplicateHistory(
                0, outcome="failed", reason="not a number in epoch 1", metrics={"gradient_ratio": 1e5}
            )
        },
    )
    (reading,) = read_curves(history(broken))

    assert reading.results.cells[0].initial_gradient_ratios == (1e5,)
    assert reading.results.cells[0].gradient_ratios == ()


def test_networks_that_miss_the_budget_they_were_matched_to_are_noted() -> None:
    trials = [
        replace(trial(number, depth, ERRORS), mismatch=mismatch)
        for number, (depth, mismatch) in enumerate([(8, 0.019), (14, 0.031), (20, -0.05), (26, None)])
    ]
    (reading,) = read_curves(history(*trials))

    assert (
        "No whole width meets the budget that networks were matched to: "
        "plain-14 by 3.1 % too large and plain-20 by 5.0 % too small." in reading.results.notes
    )
