"""Which network to take: the shallowest within one standard error of the best, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archsearch.analysis import recommend
from archsearch.journal import ReplicateHistory, TrialHistory
from tests.analysis.trials import trial


def errors(*values: float) -> dict[int, dict[str, float]]:
    return {
        seed: {"train_error": 0.0, "val_error": value, "test_error": value + 0.01, "train_time_s": 3.0 + seed}
        for seed, value in enumerate(values)
    }


def test_the_shallowest_within_one_standard_error_of_the_best_is_taken() -> None:
    # the best is 56: mean 0.04, deviation 0.01, standard error 0.00577; 20 lies within, 8 does not
    trials = [
        trial(0, 8, errors(0.05, 0.05, 0.05)),
        trial(1, 20, errors(0.045, 0.045, 0.045)),
        trial(2, 32, errors(0.042, 0.042, 0.042)),
        trial(3, 56, errors(0.03, 0.04, 0.05)),
    ]

    found = recommend(trials)

    assert found is not None
    assert (found.chosen.trial, found.best.trial) == (1, 3)
    assert found.best.standard_error == pytest.approx(0.01 / 3**0.5)
    assert (found.chosen.test_error, found.chosen.train_time_s) == (pytest.approx(0.055), pytest.approx(4.0))
    assert found.sentence == (
        "Take plain-20 (trial 1): validation error 4.5 % over 3 seeds, within one standard error (0.58 %) of "
        "the lowest, 4.0 % of plain-56, and no deeper one is needed for that. It costs 20,000 parameters, "
        "200 multiply-accumulates an image, 4 s of training."
    )
    assert found.front == (0, 1, 2, 3)


def test_of_a_search_the_lowest_is_not_said_to_be_below_what_was_only_tried() -> None:
    confirmed = [trial(2, 8, errors(0.05, 0.06), phase="confirm"), trial(3, 20, errors(0.5), phase="confirm")]

    found, swept = recommend(confirmed), recommend([replace(one, phase="sweep") for one in confirmed])

    assert found is not None
    assert swept is not None
    assert "over 2 seeds, the lowest of all that the search did not only try. It costs" in found.sentence
    assert "over 2 seeds, the lowest of all. It costs" in swept.sentence
    deeper = trial(4, 32, errors(0.03, 0.07), phase="confirm")
    near = recommend([*confirmed, deeper])
    assert near is not None
    assert "of the lowest that the search did not only try, 5.0 % of plain-32" in near.sentence


def test_of_equally_deep_ones_the_cheaper_is_taken_and_the_dearer_is_off_the_front() -> None:
    cheap, dear = trial(0, 20, errors(0.05, 0.04)), trial(1, 20, errors(0.04, 0.05))

    found = recommend([replace(dear, macs=900, parameters=90_000), cheap])

    assert found is not None
    assert found.chosen.trial == 0
    assert found.front == (0,)


def test_latency_is_one_more_cost_where_it_is_known_of_all() -> None:
    def timed(number: int, latencies: list[float]) -> TrialHistory:
        tested = {
            seed: {"train_error": 0.0, "val_error": 0.05, "latency_ms": latency}
            for seed, latency in enumerate(latencies)
        }
        return trial(number, 20, tested)

    slow, fast = timed(0, [2.0, 4.0]), replace(timed(1, [1.0, 1.0]), macs=900)
    found = recommend([slow, fast])

    assert found is not None
    assert (found.chosen.trial, found.chosen.latency_ms) == (0, 3.0)
    assert "200 multiply-accumulates an image, 3 ms an image" in found.sentence
    assert found.front == (0, 1)
    without = recommend([trial(0, 20, errors(0.05)), fast])
    assert without is not None
    assert without.chosen.latency_ms is None
    assert without.front == (0,)


def test_one_seed_has_the_error_of_its_images() -> None:
    shallow = trial(0, 8, errors(0.11), val_images=100)
    found = recommend([shallow, trial(1, 20, errors(0.10), val_images=100)])

    assert found is not None
    # binomial standard error of 0.1 on 100 images: 0.03
    assert found.best.standard_error == pytest.approx(0.03, abs=0.002)
    assert found.chosen.trial == 0
    # of as many images as the network was judged by
    found = recommend([shallow, trial(1, 20, errors(0.10), val_images=10_000)])
    assert found is not None
    assert found.best.standard_error == pytest.approx(0.003, abs=0.0002)
    assert found.chosen.trial == 1


def test_a_network_that_ended_in_no_number_is_not_recommended() -> None:
    broken = trial(0, 8, errors(0.01, 0.01))
    failed = ReplicateHistory(2, outcome="failed", reason="not a number in epoch 2")
    broken = replace(broken, seeds=(0, 1, 2), replicates={**broken.replicates, 2: failed})

    found = recommend([broken, trial(1, 20, errors(0.10, 0.11))])

    assert found is not None
    assert found.chosen.trial == 1
    assert recommend([broken]) is None
