"""Two trainings of one replicate, compared figure by figure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from archsearch.analysis.reproduction import TOLERANCES, Training, compare_trainings

EPOCHS = ({"train_loss": 2.0, "val_error": 0.5, "images_per_s": 100.0}, {"train_loss": 1.0, "val_error": 0.4})
RECORDED = Training(
    "complete", EPOCHS, {"val_error": 0.4, "train_time_s": 3.0}, {"a": torch.tensor([1.0, 2.0])}
)


def changed(epoch: int, **values: float) -> Training:
    epochs = [dict(metrics) for metrics in EPOCHS]
    epochs[epoch].update(values)
    return replace(RECORDED, epochs=epochs)


def test_the_same_figures_and_weights_are_identical() -> None:
    found = compare_trainings(RECORDED, changed(0, images_per_s=7.0), precision="32")

    assert (found.verdict, found.compared, found.first, found.weights) == ("identical", 5, None, 0.0)


def test_other_weights_alone_are_not_identical() -> None:
    again = replace(RECORDED, weights={"a": torch.tensor([1.0, 2.25])})
    found = compare_trainings(RECORDED, again, precision="32")

    assert (found.verdict, found.weights) == ("equal within rounding", 0.25)


def test_weights_that_were_not_kept_are_not_compared() -> None:
    found = compare_trainings(replace(RECORDED, weights=None), RECORDED, precision="32")

    assert (found.verdict, found.weights, found.weights_kept) == ("identical", None, False)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_tolerance_is_that_of_the_precision(precision: str) -> None:
    within, beyond = 0.9 * TOLERANCES[precision], 1.1 * TOLERANCES[precision]
    near = compare_trainings(RECORDED, changed(0, train_loss=2 * (1 + within)), precision=precision)
    far = compare_trainings(RECORDED, changed(0, train_loss=2 * (1 + beyond)), precision=precision)

    assert (near.verdict, far.verdict) == ("equal within rounding", "different")


def test_it_says_what_differs_first_and_what_most() -> None:
    again = changed(1, train_loss=1.5, val_error=0.9)
    again.epochs[0]["val_error"] = 0.6
    found = compare_trainings(RECORDED, again, precision="32")

    assert found.verdict == "different"
    assert str(found.first) == "epoch 1, val_error: recorded 0.5, again 0.6"
    assert found.largest is not None
    assert (found.largest.place, found.largest.size) == ("epoch 2, train_loss", 0.5)


def test_a_figure_that_is_missing_or_no_number_once_is_a_difference() -> None:
    shorter = replace(RECORDED, epochs=EPOCHS[:1])
    broken = changed(1, train_loss=math.nan)

    assert str(compare_trainings(RECORDED, shorter, precision="32").first) == (
        "epoch 2, train_loss: recorded 1, again nothing"
    )
    assert compare_trainings(RECORDED, broken, precision="32").verdict == "different"
    assert compare_trainings(broken, broken, precision="32").verdict == "identical"


def test_another_outcome_is_different_whatever_the_figures() -> None:
    again = replace(RECORDED, outcome="failed")

    assert compare_trainings(RECORDED, again, precision="32").verdict == "different"


def test_what_was_stopped_is_compared_up_to_there() -> None:
    recorded = Training("stopped", EPOCHS[:1], {"val_error": 0.5})
    again = Training("stopped", EPOCHS, {"val_error": 0.4})
    found = compare_trainings(recorded, again, precision="32")

    assert (found.verdict, found.compared) == ("identical", 2)
