"""Which networks predictors are judged by, and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archsearch.analysis.predictor_ranks import PredictorRanks, rank_predictors
from archsearch.journal import TrialHistory
from tests.analysis.trials import trial


def network(number: int, error: float, score: float | None, **changes: Any) -> TrialHistory:
    block = changes.pop("block", "plain")
    known = trial(number, number + 1, {0: {"val_error": error}}, block=block)
    scores = {"grad_norm": 1.0, "synflow": score, "naswot": None}
    return replace(known, **{"metrics": {"val_error": error}, "predictors": scores, **changes})


def found(trials: list[TrialHistory]) -> dict[tuple[str, str], PredictorRanks]:
    return {(ranks.networks, ranks.predictor): ranks for ranks in rank_predictors(trials)}


def test_higher_scores_are_compared_with_higher_accuracy() -> None:
    ranks = found([network(number, error=0.5 - number / 100, score=number) for number in range(12)])

    assert {group for group, _ in ranks} == {"all"}
    synflow = ranks["all", "synflow"]
    assert (synflow.count, synflow.correlation.rho, synflow.words) == (
        12,
        pytest.approx(1),
        "higher goes with better",
    )
    # depth, and with it what is counted, rises with the number too
    assert ranks["all", "parameters"].correlation.tau == pytest.approx(1)
    reversed_ranks = found([network(number, error=number / 100, score=number) for number in range(12)])
    assert reversed_ranks["all", "synflow"].words == "higher goes with worse"


def test_what_cannot_be_ranked_is_left_out_and_said() -> None:
    trials = [network(n, error=n / 100, score=n if n < 9 else None) for n in range(12)]
    ranks = found(trials)

    assert (ranks["all", "synflow"].count, ranks["all", "synflow"].correlation) == (9, None)
    assert ranks["all", "synflow"].words == "too few networks to say (below 10)"
    assert ranks["all", "naswot"].count == 0
    assert ranks["all", "grad_norm"].words == "does not tell them apart"


def test_no_order_is_said_to_be_none() -> None:
    errors = [0.1, 0.5, 0.2, 0.4, 0.3, 0.3, 0.4, 0.2, 0.5, 0.1]
    ranks = found([network(n, error=error, score=n) for n, error in enumerate(errors)])

    assert ranks["all", "synflow"].words == "not shown to rank them"


def test_several_blocks_are_judged_apart_too() -> None:
    trials = [network(n, error=n / 100, score=n, block="plain" if n % 2 else "dense") for n in range(24)]

    assert {group for group, _ in found(trials)} == {"all", "block=plain", "block=dense"}
    assert found(trials)["block=dense", "macs"].count == 12


def test_a_network_counts_once_with_its_best_training() -> None:
    trials = [network(n, error=n / 100, score=n) for n in range(10)]
    # the same as the first one, trained worse; it was scored at that one
    trials.append(network(10, error=0.9, score=None, architecture_id="v1:0", predictors={}))

    ranks = found(trials)
    assert (ranks["all", "synflow"].count, ranks["all", "synflow"].correlation.rho) == (10, pytest.approx(-1))


@pytest.mark.parametrize("changes", [{"outcome": "pruned", "objective_values": None}, {"predictors": {}}])
def test_what_was_not_trained_in_full_or_not_scored_is_left_out(changes: dict[str, Any]) -> None:
    trials = [network(n, error=n / 100, score=n) for n in range(10)]
    trials.append(network(10, error=0.0, score=99, **changes))

    assert found(trials)["all", "synflow"].count == 10


def test_a_study_that_did_not_ask_has_none() -> None:
    assert rank_predictors([network(n, error=n / 100, score=n, predictors={}) for n in range(12)]) == []
