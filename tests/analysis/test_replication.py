"""Which cells need another seed, and that looking again and again errs no more often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archsearch.analysis import CellResults, cells_to_replicate, look_level
from archsearch.analysis.verdict_rule import decide
from benchmarks.synthetic_curves import Measurement, Truth, generate, rising
from tests.analysis.curves import HEALTHY, NOISY, PLAIN, RESIDUAL, curve


def test_decided_curves_need_nothing() -> None:
    for cells in (PLAIN, RESIDUAL, HEALTHY):
        assert cells_to_replicate([curve(cells)], fewest=3, most=10) == {}


def test_of_each_open_pair_the_cell_that_is_known_less_well_is_asked_for() -> None:
    # 56 is spread most, 8 more than 20: pairs (8, 20), (8, 56), (20, 56)
    assert cells_to_replicate([curve(NOISY)], fewest=3, most=10) == {"block=plain": (8, 56)}


def test_no_cell_goes_beyond_the_most() -> None:
    cells = dict(NOISY)
    cells[56] = tuple(errors * 2 for errors in NOISY[56])

    asked = cells_to_replicate([curve(cells)], fewest=3, most=6)

    assert asked == {"block=plain": (8, 20)}
    assert cells_to_replicate([curve(NOISY)], fewest=3, most=3) == {}


def test_first_every_cell_gets_the_fewest() -> None:
    cells = {**PLAIN, 56: (PLAIN[56][0][:2], PLAIN[56][1][:2])}

    assert cells_to_replicate([curve(cells)], fewest=3, most=10) == {"block=plain": (56,)}


def test_seeds_do_not_help_where_depth_was_searched_or_all_diverged() -> None:
    searched = replace(curve(NOISY), swept=False)
    gone = replace(curve(NOISY), cells=tuple(CellResults(d, (), diverged=3) for d in (8, 20)))

    assert cells_to_replicate([searched, gone], fewest=3, most=10) == {}


def test_all_looks_together_spend_the_level() -> None:
    levels = [look_level(looks, most=7) for looks in range(8)]

    assert sum(levels) == pytest.approx(0.05)
    assert levels[0] == 0.025
    assert look_level(0, most=0) == 0.05


def adapted(truth: Truth, studies: int, *, fewest: int = 3, most: int = 8) -> tuple[list[str], list[int]]:
    """Verdicts and numbers of trainings of studies that add seeds as they are told to."""
    kinds, spent = [], []
    for whole in generate(truth, Measurement(seeds=most, spread=0.02), studies, seed=0):
        seeds = {cell.depth: fewest for cell in whole.cells}
        looks = 0
        while True:
            cells = tuple(
                replace(
                    c,
                    train_errors=c.train_errors[: seeds[c.depth]],
                    val_errors=c.val_errors[: seeds[c.depth]],
                )
                for c in whole.cells
            )
            seen = replace(whole, cells=cells, level=look_level(looks, most=most - fewest))
            asked = cells_to_replicate([seen], fewest=fewest, most=most)
            if not asked or looks == most - fewest:
                break
            looks += 1
            for depth in asked[whole.label]:
                seeds[depth] += 1
        kinds.append(decide(seen).kind)
        spent.append(sum(seeds.values()))
    return kinds, spent


@pytest.mark.slow
def test_adding_seeds_until_something_shows_does_not_make_it_show_by_chance() -> None:
    kinds, _ = adapted(Truth("saturated", (0.1,) * 4, (0.13,) * 4), 1500)

    assert kinds.count("degradation") / 1500 < 0.05
    assert kinds.count("healthy") / 1500 < 0.05


@pytest.mark.slow
def test_seeds_are_saved_where_the_answer_is_plain() -> None:
    steep = rising(0.03, 0.15)
    kinds, spent = adapted(Truth("degradation", steep, steep), 200)

    assert kinds.count("degradation") / 200 > 0.9
    assert np.mean(spent) < 0.7 * 4 * 8
