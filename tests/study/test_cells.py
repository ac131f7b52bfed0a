from __future__ import annotations

import pytest

from archsearch.errors import ArchitectureError, StudyError
from archsearch.study import parse_study


def parse(text: str):
    return parse_study("name: s\n" + text, "s.yaml")


def labels(text: str) -> list[str]:
    return [cell.label for cell in parse(text).cells()]


def test_cells_are_the_combinations_of_the_swept_values() -> None:
    cells = parse("sweep: {block: [plain, residual], depth: [8, 20]}\n").cells()
    assert [cell.index for cell in cells] == [0, 1, 2, 3]
    assert cells[3].values == {"architecture.block": "residual", "architecture.depth": 20}
    assert cells[3].curve == {"architecture.block": "residual"}


def test_a_label_writes_values_as_a_study_does() -> None:
    found = labels(
        "sweep:\n  training.nesterov: [false]\n  blocks: [[1, 1, 1]]\n  training.learning_rate: [0.1]\n"
    )
    assert found == ["training.nesterov=false blocks=1,1,1 training.learning_rate=0.1"]


def test_a_value_that_a_block_does_not_use_makes_no_cell_of_its_own() -> None:
    assert labels("sweep:\n  block: [plain, residual]\n  shortcut: [pad, projection]\n") == [
        "block=plain",
        "block=residual shortcut=pad",
        "block=residual shortcut=projection",
    ]


def test_a_swept_condition_leaves_the_field_out_where_it_does_not_hold() -> None:
    text = "sweep:\n  block: [plain, residual]\n  drop_path: {choice: [0, 0.2], when: {block: residual}}\n"
    assert labels(text) == ["block=plain", "block=residual drop_path=0", "block=residual drop_path=0.2"]


def test_of_cells_with_the_same_network_the_first_stays() -> None:
    # Residual has no 19 layers, dense no 20: both are built with the other's depth.
    found = labels("sweep:\n  block: [dense, residual]\n  depth: [19, 20]\n")
    assert found == ["block=dense depth=19", "block=residual depth=19"]


def test_cells_that_differ_in_training_or_data_stay_apart() -> None:
    assert len(labels("sweep: {training.learning_rate: [0.1, 0.2], data.train_limit: [100, 200]}\n")) == 4


def test_cells_with_a_search_collapse_by_what_can_be_sampled_in_them() -> None:
    sweep = "sweep: {block: [plain, residual], shortcut: [pad, projection]}\n"
    assert labels(f"trials: 2\nsearch: {{width: [8, 16]}}\n{sweep}") == [
        "block=plain",
        "block=residual shortcut=pad",
        "block=residual shortcut=projection",
    ]
    searched = "trials: 2\nsweep: {shortcut: [pad, projection]}\nsearch: {block: [plain, residual]}\n"
    assert labels(searched) == ["shortcut=pad", "shortcut=projection"]


def test_a_depth_that_another_block_lacks_becomes_its_nearest() -> None:
    study = parse("sweep: {block: [residual, dense], depth: [20, 32]}\n")
    dense = study.resolve({"architecture.block": "dense", "architecture.depth": 20})
    assert (dense.architecture.depth, dense.requested_depth) == (19, 20)
    residual = study.resolve({"architecture.block": "residual", "architecture.depth": 20})
    assert (residual.architecture.depth, residual.requested_depth) == (20, None)


def test_a_fixed_depth_becomes_the_nearest_too_where_several_blocks_are_compared() -> None:
    study = parse("architecture: {depth: 20}\nsweep: {block: [residual, dense]}\n")
    assert [study.resolve(cell.values).architecture.depth for cell in study.cells()] == [20, 19]


def test_a_field_that_a_block_does_not_use_is_dropped_there() -> None:
    study = parse("architecture: {drop_path: 0.1}\nsweep: {block: [plain, residual]}\n")
    plain, residual = (study.resolve(cell.values) for cell in study.cells())
    assert (plain.dropped, plain.architecture.drop_path) == (("drop_path",), None)
    assert (residual.dropped, residual.architecture.drop_path) == ((), 0.1)


def test_a_field_is_used_even_if_only_a_rare_combination_uses_it() -> None:
    text = (
        "trials: 2\narchitecture: {initialization_std: 0.02}\nsearch:\n"
        "  initialization: [he, xavier, normal]\n  norm: [batch, group, layer, none]\n"
        "  activation: [relu, gelu, silu, tanh]\n  width: {low: 8, high: 16}\n  depth: [8, 14, 20, 26]\n"
    )
    assert len(parse(text).cells()) == 1


def test_a_combination_that_only_sometimes_fails_is_left_to_the_search() -> None:
    text = "trials: 2\narchitecture: {block: grouped}\nsearch:\n  width: [8, 12]\n  cardinality: [3, 4]\n"
    study = parse(text)
    with pytest.raises(ArchitectureError, match="must divide twice the width"):
        study.resolve({"architecture.width": 8, "architecture.cardinality": 3})
    assert (
        study.resolve({"architecture.width": 12, "architecture.cardinality": 3}).architecture.group_width == 8
    )


def test_settings_that_contradict_each_other_do_not_resolve() -> None:
    study = parse(
        "trials: 2\nsearch: {training.schedule: [one_cycle, cosine], training.warmup_epochs: [0, 2]}\n"
    )
    values = {"training.schedule": "one_cycle", "training.warmup_epochs": 2}
    with pytest.raises(StudyError, match="warmup_epochs must be 0 with one_cycle"):
        study.resolve(values)
    assert study.resolve({**values, "training.schedule": "cosine"}).training.warmup_epochs == 2


def test_values_as_a_journal_gives_them_resolve_alike() -> None:
    study = parse("sweep: {blocks: [[1, 1, 1]], training.milestones: [[0.5]]}\n")
    restored = {"architecture.blocks": [1, 1, 1], "training.milestones": [0.5]}
    assert study.resolve(restored) == study.resolve(study.cells()[0].values)


def test_unknown_and_wrong_values_do_not_resolve() -> None:
    study = parse("")
    with pytest.raises(StudyError, match="depth: is no field of architecture, training or data"):
        study.resolve({"depth": 20})
    with pytest.raises(
        StudyError, match=r"training\.epochs: must be an integer from 1 to 1_000_000, got 'x y'"
    ):
        study.resolve({"training.epochs": "x y"})


def test_too_many_cells_are_refused_before_they_are_made() -> None:
    with pytest.raises(StudyError, match=r"s\.yaml:2: sweep: must make at most 2_000 cells"):
        parse("sweep:\n  width: {low: 1, high: 60_000}\n  stem_width: {low: 1, high: 60_000}\n")
