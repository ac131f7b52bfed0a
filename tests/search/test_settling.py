"""What a trial came to, from its replicates."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from archsearch.journal import ReplicateHistory, TrialHistory
from archsearch.search.settling import settle
from tests.analysis.trials import trial


def trial_of(*replicates: ReplicateHistory) -> TrialHistory:
    seeds = tuple(replicate.seed for replicate in replicates)
    own = {replicate.seed: replicate for replicate in replicates}
    return replace(trial(0, 8, {}), seeds=seeds, replicates=own, outcome=None)


def ended(seed: int, accuracy: float, **more: float) -> ReplicateHistory:
    return ReplicateHistory(seed, outcome="complete", metrics={"val_accuracy": accuracy, **more})


def test_a_value_is_the_mean_over_the_seeds_with_its_deviation_beside_it() -> None:
    settlement = settle(trial_of(ended(0, 0.5), ended(1, 0.75), ended(2, 0.7)), ["val_accuracy", "macs"])

    assert settlement.outcome == "complete"
    assert settlement.values == (pytest.approx(statistics.mean([0.5, 0.75, 0.7])), 80)
    assert settlement.metrics["val_accuracy_std"] == pytest.approx(statistics.stdev([0.5, 0.75, 0.7]))


def test_a_metric_that_one_seed_lacks_is_left_out() -> None:
    settlement = settle(trial_of(ended(0, 0.5, val_other=1.0), ended(1, 0.75)), ["val_accuracy"])

    assert "val_other" not in settlement.metrics
    assert "val_accuracy_std" in settlement.metrics


def test_one_failed_seed_fails_the_trial_with_its_reason_and_the_others_metrics() -> None:
    failed = ReplicateHistory(1, outcome="failed", reason="out of memory", metrics={})

    settlement = settle(trial_of(ended(0, 0.5), failed), ["val_accuracy"])

    assert (settlement.outcome, settlement.reason) == ("failed", "seed 1: out of memory")
    assert settlement.values is None
    assert settlement.metrics["val_accuracy"] == 0.5


def test_a_stopped_one_is_pruned_after_its_epochs() -> None:
    stopped = ReplicateHistory(0, outcome="stopped", epochs=({}, {}), metrics={})

    settlement = settle(trial_of(stopped), ["val_accuracy"])

    assert (settlement.outcome, settlement.reason) == ("pruned", "after epoch 2")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_a_failure(value: float) -> None:
    settlement = settle(trial_of(ended(0, value)), ["val_accuracy"])

    assert (settlement.outcome, settlement.values) == ("failed", None)
    assert settlement.reason == "val_accuracy is not a finite number"


def test_an_objective_that_was_never_measured_is_a_failure() -> None:
    assert settle(trial_of(ended(0, 0.5)), ["val_macro_f1"]).reason == "val_macro_f1 is not a finite number"
