"""What is measured, and what follows from it for other networks; when the last of several trainings ends."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.optimize import nnls

from archsearch.application.progress.schedule import Allowance, Waiting, schedule
from archsearch.application.progress.speed import Rates, Speed, fit_rates
from archsearch.application.progress.workload import Work


def random_rows(generator: random.Random, noise: float) -> list[tuple[float, float, float]]:
    per_mac, per_call = 10 ** generator.uniform(-11, -8), 10 ** generator.uniform(-5, -2)
    rows = []
    for _ in range(generator.randint(2, 8)):
        macs, calls = 10 ** generator.uniform(7, 10), 10 ** generator.uniform(1, 4)
        seconds = (macs * per_mac + calls * per_call) * generator.uniform(1 - noise, 1 + noise)
        rows.append((macs, calls, seconds))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_rates_are_those_of_least_squares_that_are_not_negative(seed: int) -> None:
    rows = random_rows(random.Random(seed), noise=0.5)
    macs, calls, seconds = np.array(rows).T
    # Columns of like size, for the solver's tolerance.
    scale = np.array([macs.max(), calls.max()])
    expected, _ = nnls(np.stack([macs, calls], 1) / scale / seconds[:, None], np.ones(len(rows)))

    rates = fit_rates(rows)

    assert (rates.per_mac_s, rates.per_call_s) == pytest.approx(tuple(expected / scale), rel=1e-5, abs=1e-18)


def test_one_network_says_what_a_mac_costs_and_nothing_says_that_macs_count() -> None:
    assert fit_rates([(100.0, 7.0, 5.0)]) == Rates(0.05, 0.0)
    assert fit_rates([]) == Rates(1.0, 0.0)


def test_what_was_measured_of_equal_work_stands_for_itself_and_odd_epochs_do_not_count() -> None:
    speed, work = Speed(), Work(1e9, 100.0, 10)
    for seconds in (2.0, 2.2, 2.1, 3600.0, 2.0):
        speed.add_epoch(work, seconds)
    speed.add_epoch(Work(4e9, 400.0, 10), 5.0)

    assert speed.epoch_s(work) == 2.1
    assert speed.epoch_s(Work(1e9, 100.0, 50)) == 2.1


def test_a_start_counts_until_an_epoch_was_measured() -> None:
    speed, work = Speed(), Work(1e9, 100.0, 10)
    speed.add_start(work, 10.0)
    assert speed.epoch_s(work) == 10.0

    speed.add_epoch(work, 1.0)

    assert speed.epoch_s(work) == 1.0
    assert speed.epoch_s(Work(2e9, 200.0, 10)) == pytest.approx(2.0)


def play(slots: int, running: list[float], waiting: list[float]) -> float:
    """The same by small steps: in each, every slot works, and those that are free take the next."""
    left, queue, now = [*running, *([0.0] * (slots - len(running)))], list(waiting), 0.0
    while queue or max(left) > 1e-9:
        for slot, seconds in enumerate(left):
            if seconds <= 1e-9 and queue:
                left[slot] = queue.pop(0)
        step = min(seconds for seconds in left if seconds > 1e-9)
        now += step
        left = [max(0.0, seconds - step) for seconds in left]
    return now


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_what_slots_do_that_take_the_next_training_when_they_are_free(seed: int) -> None:
    generator = random.Random(seed)
    slots = generator.randint(1, 6)
    running = [generator.uniform(0.1, 9) for _ in range(generator.randint(0, slots))]
    waiting = [generator.uniform(0.1, 9) for _ in range(generator.randint(1, 20))]

    last, together = schedule(slots, running, [Waiting(seconds) for seconds in waiting])

    assert last == pytest.approx(play(slots, running, waiting))
    assert together == pytest.approx(sum(running) + sum(waiting))


@pytest.mark.parametrize(
    ("allowance", "last"),
    [
        (Allowance(), 40.0),
        # A second one would end at 20 s.
        (Allowance(seconds=15.0), 10.0),
        (Allowance(seconds=20.0), 20.0),
        (Allowance(epochs=3.0), 30.0),
        (Allowance(macs=100.0), 10.0),
        (Allowance(epochs=0.0), 0.0),
    ],
)
def test_nothing_is_started_that_ends_beyond_the_budget(allowance: Allowance, last: float) -> None:
    waiting = [Waiting(10.0, epochs=1.0, macs=100.0)] * 4

    assert schedule(1, [], waiting, allowance)[0] == last
