from __future__ import annotations

import pytest

from archsearch.study import Dimension, parse_study


def searched(lines: str, path: str) -> Dimension:
    study = parse_study(f"name: s\ntrials: 2\nsearch:\n{lines}", "s.yaml")
    return next(dimension for dimension in study.search if dimension.path == path)


def test_a_list_is_short_for_a_choice() -> None:
    short = searched("  depth: [20, 56]\n", "architecture.depth")
    assert short == searched("  depth: {choice: [20, 56]}\n", "architecture.depth")
    assert short == searched("  architecture.depth: [20, 56]\n", "architecture.depth")
    assert list(short.values()) == [20, 56]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("depth: {low: 8, high: 60, step: 12}", [8, 20, 32, 44, 56]),
        ("training.epochs: {low: 2, high: 4}", [2, 3, 4]),
        ("training.momentum: {low: 0.1, high: 0.45, step: 0.1}", [0.1, 0.2, 0.3, 0.4]),
        ("width: {low: 4, high: 8, step: 2}", [4, 6, 8]),
    ],
)
def test_a_range_holds_both_ends_and_stays_on_its_steps(written: str, values: list[float]) -> None:
    study = parse_study(f"name: s\nsweep:\n  {written}\n", "s.yaml")
    assert list(study.sweep[0].values()) == values
    assert study.sweep[0].count == len(values)
    assert study.sweep[0].high == values[-1]
    assert all(study.sweep[0].includes(value) for value in values)
    assert not study.sweep[0].includes(values[0] + 0.05)


def test_a_range_of_whole_widths_is_of_integers_and_another_of_numbers() -> None:
    assert searched("  width: {low: 8, high: 64, log: true}\n", "architecture.width").kind == "integer"
    assert searched("  width: {low: 8.5, high: 64}\n", "architecture.width").kind == "number"
    rate = searched("  training.learning_rate: {low: 1, high: 2}\n", "training.learning_rate")
    assert (rate.kind, rate.count) == ("number", float("inf"))


def test_lists_can_be_choices() -> None:
    blocks = searched("  blocks: [[1, 1, 1], [3, 3, 3]]\n", "architecture.blocks")
    assert blocks.choices == ((1, 1, 1), (3, 3, 3))


def test_conditions_are_drawn_first_whatever_the_order_written() -> None:
    study = parse_study(
        "name: s\ntrials: 2\nsearch:\n"
        "  gate_bias: {choice: [-1, -2], when: {shortcut: gate}}\n"
        "  shortcut: {choice: [pad, gate], when: {block: [residual, grouped]}}\n"
        "  block: [plain, residual]\n",
        "s.yaml",
    )
    assert [dimension.label for dimension in study.search] == ["block", "shortcut", "gate_bias"]
    shortcut = study.search[1]
    assert shortcut.applies({"architecture.block": "residual"})
    assert not shortcut.applies({"architecture.block": "plain"})
    assert not shortcut.applies({})


def test_a_condition_on_a_fixed_value_is_settled_at_once() -> None:
    study = parse_study(
        "name: s\ntrials: 2\narchitecture: {block: residual}\nsearch:\n"
        "  shortcut: {choice: [pad, projection], when: {block: residual}}\n",
        "s.yaml",
    )
    assert study.search[0].when == {}
    assert study.search[0].applies({})


def test_a_condition_may_name_a_value_of_a_range() -> None:
    lines = "  width: {low: 4, high: 8, step: 2}\n  norm: {choice: [batch, group], when: {width: 6}}\n"
    assert searched(lines, "architecture.norm").applies({"architecture.width": 6})
