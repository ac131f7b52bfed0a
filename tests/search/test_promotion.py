"""Who goes on from a rung, from curves alone."""

from __future__ import annotations

import random

import pytest

from archsearch.search.promotion import (
    Asha,
    Contender,
    EpochsThenBest,
    Pasha,
    Promotion,
    build_scheduler,
    measure_noise,
)


def paused(number, *losses, depth=20):
    return Contender(number, depth, losses, len(losses), "paused")


def running(number, *losses, target, depth=20):
    return Contender(number, depth, losses, target, "running")


def ended(number, *losses, depth=20):
    return Contender(number, depth, losses, len(losses), "ended")


def at_first_rung(*losses):
    return [paused(number, loss) for number, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("epochs", "options", "rungs"),
    [
        (27, {}, [1, 3, 9, 27]),
        (10, {}, [1, 3, 10]),
        (2, {}, [2]),
        (81, {"least_epochs": 3}, [3, 9, 27, 81]),
        (16, {"reduction_factor": 4, "least_epochs": 2}, [2, 16]),
        (16, {"reduction_factor": 2}, [1, 2, 4, 8, 16]),
    ],
)
def test_rungs_are_powers_and_the_last_step_is_a_whole_one(epochs, options, rungs):
    asha = Asha(epochs, **options)
    climbed = [asha.first_pause(8)]
    while climbed[-1] < epochs:
        alone = [paused(0, *[0.5] * climbed[-1], depth=8)]
        climbed.append(asha.promote(alone, more=False).until)

    assert climbed == rungs


def test_the_best_third_goes_on_and_the_others_wait():
    asha, losses = Asha(27), (0.5, 0.2, 0.9, 0.4, 0.8)

    assert asha.promote(at_first_rung(*losses), more=True) == Promotion(1, 3)
    assert asha.promote(at_first_rung(*losses[:2]), more=True) is None
    gone = at_first_rung(*losses)
    gone[1] = running(1, 0.2, target=3)
    # two of six may go on
    assert asha.promote(gone, more=True) is None
    assert asha.promote([*gone, paused(5, 0.7)], more=True) == Promotion(3, 3)


def test_the_highest_rung_comes_first():
    low = at_first_rung(0.3, 0.2, 0.4)
    high = [paused(10 + i, 0.1, 0.1, loss) for i, loss in enumerate((0.09, 0.08, 0.07))]

    assert Asha(27).promote([*low, *high], more=True) == Promotion(12, 9)


def test_of_equals_the_earlier_one_goes_on():
    assert Asha(9).promote(at_first_rung(0.5, 0.5, 0.5), more=True) == Promotion(0, 3)


def test_curves_are_compared_among_networks_of_similar_depth():
    shallow = [paused(number, 0.1 + number / 100, depth=8) for number in range(3)]
    deep = [paused(10 + number, 0.6 + number / 100, depth=32) for number in range(3)]

    promoted = []
    contenders = [*shallow, *deep]
    while promotion := Asha(9).promote(contenders, more=True):
        promoted.append(promotion.number)
        contenders = [
            running(c.number, *c.losses, target=3, depth=c.depth) if c.number == promotion.number else c
            for c in contenders
        ]

    assert promoted == [0, 10]


def test_a_deep_network_has_its_grace_before_the_first_rung():
    # ResNet-110 has a quarter of the epochs
    assert [Asha(27).first_pause(depth) for depth in (8, 20, 56, 110)] == [1, 1, 3, 9]
    assert EpochsThenBest(100, epochs=3).first_pause(110) == 25


def test_when_all_else_is_over_the_best_of_the_highest_rung_climbs_to_the_end():
    asha = Asha(27)
    contenders = [paused(0, 0.4), paused(1, 0.3)]

    assert asha.promote(contenders, more=True) is None
    assert asha.promote([*contenders, running(2, target=1)], more=False) is None
    assert asha.promote(contenders, more=False) == Promotion(1, 3)
    assert asha.promote([paused(0, 0.4), paused(1, 0.3, 0.5, 0.6)], more=False) == Promotion(1, 9)
    # there is an answer already
    assert asha.promote([*contenders, ended(2, *[0.1] * 27)], more=False) is None


def test_at_most_a_share_of_each_rung_reaches_the_next():
    draws = random.Random(0)
    quality = [draws.random() for _ in range(81)]
    asha, epochs, reached = Asha(27), 27, dict.fromkeys(range(81), 1)
    spent = 81
    while True:
        contenders = [
            paused(n, *[quality[n]] * r) if r < epochs else ended(n, *[quality[n]] * r)
            for n, r in reached.items()
        ]
        promotion = asha.promote(contenders, more=False)
        if promotion is None:
            break
        spent += promotion.until - reached[promotion.number]
        reached[promotion.number] = promotion.until

    assert [sum(r >= rung for r in reached.values()) for rung in (1, 3, 9, 27)] == [81, 27, 9, 3]
    best = min(range(81), key=quality.__getitem__)
    assert reached[best] == 27
    # a configuration costs 1 + 2/3 + 6/9 + 18/27 = 3 epochs, a ninth of a whole training
    assert spent == 81 * 3


def agreeing(count=9, epochs=3):
    """Trials whose order is the same at all epochs."""
    return [paused(n, *[0.1 * (n + 1)] * epochs) for n in range(count)]


def test_pasha_opens_no_further_rung_while_the_order_stays():
    top = agreeing()
    others = [paused(100 + n, 0.9) for n in range(3)]

    assert Asha(27).promote([*top, *others], more=True) == Promotion(0, 9)
    assert Pasha(27).promote([*top, *others], more=True) is None


def test_pasha_opens_the_next_rung_once_the_order_changes():
    contenders = agreeing()
    contenders[0] = paused(0, 0.1, 0.1, 0.25)

    assert Pasha(27).promote(contenders, more=True) == Promotion(1, 9)


def test_differences_within_the_noise_are_no_other_order():
    # 0 and 1 change places there and back again, and are 0.02 apart at the end; 2 and 3 do so once
    contenders = [
        paused(0, 0.10, 0.20, 0.10),
        paused(1, 0.12, 0.11, 0.12),
        paused(2, 0.30, 0.30, 0.315),
        paused(3, 0.31, 0.31, 0.305),
    ]

    assert measure_noise([c.losses for c in contenders]) == pytest.approx(0.02)
    assert Pasha(27).promote(contenders, more=True) is None
    # without the noise, places changed for good
    assert Pasha(27).promote([paused(1, 0.05, 0.05, 0.05), *contenders[2:]], more=True) == Promotion(1, 9)


def test_pasha_trains_the_best_to_its_end_all_the_same():
    contenders = agreeing(3)
    untils = []
    while promotion := Pasha(27).promote(contenders, more=False):
        untils.append((promotion.number, promotion.until))
        contenders[0] = paused(0, *[0.1] * promotion.until) if promotion.until < 27 else ended(0, *[0.1] * 27)

    assert untils == [(0, 9), (0, 27)]


@pytest.mark.parametrize(
    ("curves", "noise"),
    [
        ([], 0.0),
        ([[0.1, 0.2]], 0.0),
        # once is a change of places for good
        ([[0.1, 0.3], [0.2, 0.2]], 0.0),
        ([[0.1, 0.3, 0.1], [0.2, 0.2, 0.2]], 0.1),
        # to touch is not to cross
        ([[0.1, 0.2, 0.1], [0.2, 0.2, 0.2]], 0.0),
    ],
)
def test_noise_is_the_distance_of_curves_that_cross_there_and_back(curves, noise):
    assert measure_noise(curves) == pytest.approx(noise)


def test_after_a_few_epochs_the_best_go_to_their_end_together():
    scheduler = EpochsThenBest(27, epochs=2, finalists=2)
    waiting = [paused(n, 0.9, loss) for n, loss in enumerate((0.4, 0.1, 0.3))]

    assert scheduler.first_pause(8) == 2
    assert scheduler.promote(waiting, more=True) is None
    assert scheduler.promote([*waiting, running(3, 0.9, target=2)], more=False) is None
    assert scheduler.promote(waiting, more=False) == Promotion(1, 27)
    waiting[1] = running(1, 0.9, 0.1, target=27)
    assert scheduler.promote(waiting, more=False) == Promotion(2, 27)
    waiting[2] = ended(2, *[0.2] * 27)
    assert scheduler.promote(waiting, more=False) is None
    # another takes the place of a finalist that failed
    assert scheduler.promote([waiting[0], waiting[1]], more=False) == Promotion(0, 27)


def test_they_are_built_by_their_names():
    assert isinstance(build_scheduler("pasha", {"reduction_factor": 2}, epochs=9), Pasha)
    assert build_scheduler("epochs_then_best", {"epochs": 30}, epochs=9).first_pause(8) == 9
