from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from archsearch.statistics.samples import Sample
from archsearch.statistics.trends import slope
from experiments import rules
from experiments.evidence import Evidence
from experiments.result_tables import tabulate_errors
from tests.experiments.results import Errors, spread, write_results


def depth_errors(plain: float, residual: float) -> Errors:
    return {
        ("study", "block=plain", 20): spread(0.30),
        ("study", "block=plain", 56): spread(0.30 + plain),
        ("study", "block=residual", 20): spread(0.30),
        ("study", "block=residual", 56): spread(0.30 + residual),
    }


@pytest.mark.parametrize(
    ("plain", "residual", "answers"),
    [
        (0.1, -0.05, ["confirmed", "confirmed", "confirmed"]),
        (0.1, 0.0, ["undecided", "confirmed", "confirmed"]),
        (0.1, 0.05, ["refuted", "confirmed", "confirmed"]),
        (0.0, -0.05, ["confirmed", "refuted", "confirmed"]),
        (0.0, 0.05, ["refuted", "refuted", "refuted"]),
    ],
)
def test_depth_gain_asks_for_a_fall_of_one_and_a_rise_of_the_other(
    plain: float, residual: float, answers: list[str], tmp_path: Path
) -> None:
    write_results(tmp_path, depth_errors(plain, residual))

    assert [part.answer for part in rules.depth_gain(Evidence(tmp_path)).parts] == answers


def test_depth_gain_asks_again_of_what_was_trained_longer(tmp_path: Path) -> None:
    errors = depth_errors(0.1, 0.05)
    longer = {("long", *place[1:]): values for place, values in depth_errors(0.1, -0.05).items()}
    write_results(tmp_path, {**errors, **longer})

    parts = rules.depth_gain(Evidence(tmp_path)).parts

    assert [part.study for part in parts] == ["study"] * 3 + ["long"] * 2
    assert [part.answer for part in parts[3:]] == ["confirmed", "confirmed"]
    assert parts[3].what == "trained longer, residual: validation error falls from depth 20 to 56"


def test_seeds_that_differ_much_leave_it_undecided(tmp_path: Path) -> None:
    errors = depth_errors(0.05, -0.05)
    write_results(tmp_path, {place: spread(values[1], by=0.05) for place, values in errors.items()})

    assert rules.depth_gain(Evidence(tmp_path)).verdict == "undecided"


def test_a_training_that_diverged_counts_as_a_guess(tmp_path: Path) -> None:
    write_results(tmp_path, depth_errors(0.1, -0.05))
    change_outcome(tmp_path, ("study", "block=plain", 56), [0])

    sample = Evidence(tmp_path).sample("study", ("block=plain", 56), "train_error")

    assert sample is not None
    assert sample.mean == pytest.approx((0.9 + 0.4 + 0.401) / 3)


def change_outcome(folder: Path, place: tuple[str, str, int], seeds: Sequence[int]) -> None:
    """Let the trainings of a cell under some seeds diverge."""
    table = pd.read_csv(folder / "trainings.csv")
    here = (table["study"] == place[0]) & (table["curve"] == place[1]) & (table["depth"] == place[2])
    lost = here & table["seed"].isin(seeds)
    assert lost.sum() == len(seeds)
    table.loc[lost, ["train_error", "val_error", "test_error"]] = math.nan
    table.loc[lost, "outcome"] = "diverged"
    table.to_csv(folder / "trainings.csv", index=False)


def test_depth_gain_looks_at_all_depths_for_the_fall(tmp_path: Path) -> None:
    errors = dict(depth_errors(0.1, -0.01))
    errors["study", "block=residual", 32] = spread(0.2)
    write_results(tmp_path, errors)

    fall = rules.depth_gain(Evidence(tmp_path)).parts[0]

    depths = [20, 32, 56]
    line = slope(
        [Sample.of(errors["study", "block=residual", depth], resolution=1e-9) for depth in depths], depths
    )
    assert fall.estimate == pytest.approx(line.estimate * math.log2(56 / 20))
    assert fall.what == "residual: validation error falls from depth 20 to 56, along the line over all depths"


def test_where_a_depth_has_too_few_seeds_there_is_no_line(tmp_path: Path) -> None:
    write_results(tmp_path, {**depth_errors(0.1, -0.1), ("study", "block=residual", 32): (0.3,)})

    assert rules.depth_gain(Evidence(tmp_path)).parts[0].measured == "not measured"


def test_shortcuts_are_alike_within_two_points_and_broken_beyond(tmp_path: Path) -> None:
    kept = {"pad": 0.30, "projection": 0.305, "projection_all": 0.295}
    altered = {"scaled": 0.40, "conv": 0.40, "dropout": 0.40, "gate gate_bias=0": 0.35}
    altered["gate gate_bias=-6"] = 0.301
    cells: dict[tuple[str, str, int], tuple[float, ...]] = {
        (study, f"shortcut={name}", 32): spread(error)
        for study, errors in (("study", kept), ("altered", altered))
        for name, error in errors.items()
    }
    write_results(tmp_path, {**cells, ("highway", "block=highway", 32): spread(0.36)})

    parts = rules.shortcuts(Evidence(tmp_path)).parts

    assert [part.answer for part in parts] == ["confirmed"] * 9
    assert [part.what.partition(":")[0] for part in parts[3:]] == [
        "scaled",
        "conv",
        "dropout",
        "gate, bias 0",
        "highway join, bias -6",
        "gate, bias -6",
    ]
    # All pairs must be alike, so none is widened; of the altered ones none of five is to be found by chance.
    pad = spread(0.30)
    for part, sample, level in ((parts[0], spread(0.305), 0.95), (parts[4], spread(0.40), 0.99)):
        expected = stats.ttest_ind(sample, pad, equal_var=False).confidence_interval(level)
        assert (part.low, part.high) == pytest.approx((expected.low, expected.high), abs=1e-5)


def test_a_refuted_rise_is_one_that_stays_below_the_margin(tmp_path: Path) -> None:
    cells = {("study", "weight_decay=0", 8): spread(0.30), ("study", "weight_decay=0", 56): spread(0.305)}
    long = {("long", "training.learning_rate=0.02", depth): spread(0.1 + depth / 100) for depth in (8, 56)}
    write_results(tmp_path, {**cells, **long})

    parts = rules.more_layers(Evidence(tmp_path)).parts

    assert [(part.what, part.answer, part.front) for part in parts] == [
        ("weight decay 0: training error rises by more than 1 point from depth 8 to 56", "refuted", True),
        (
            "learning rate 0.02: training error rises by more than 1 point from depth 8 to 56",
            "confirmed",
            True,
        ),
    ]


def test_gradients_are_asked_with_a_norm_and_without(tmp_path: Path) -> None:
    cells: dict[tuple[str, str, int], tuple[float, ...]] = {
        (study, f"norm={norm}", depth): spread(0.1 + depth / 200)
        for study in ("study", "small_weights")
        for norm in ("none", "batch")
        for depth in (8, 56)
    }
    write_results(tmp_path, cells)
    table = pd.read_csv(tmp_path / "trainings.csv")
    table.loc[(table["study"] == "small_weights") & (table["curve"] == "norm=none"), "gradient_ratio"] = 1e-5
    table.to_csv(tmp_path / "trainings.csv", index=False)

    parts = rules.vanishing_gradients(Evidence(tmp_path)).parts

    assert [part.answer for part in parts] == ["confirmed"] * 6
    assert [part.what.partition(":")[0] for part in parts[2:]] == [
        "convolutions with batch norm",
        "convolutions with batch norm, depth 56",
        "convolutions without a norm",
        "convolutions without a norm, depth 56",
    ]


def write_identity(folder: Path) -> None:
    cells: dict[tuple[str, str, int], tuple[float, ...]] = {
        ("study", f"block=plain initialization={name}", depth): spread(error + depth / 200)
        for name, error in (("he", 0.1), ("identity", 0.05), ("normal", 0.2))
        for depth in (8, 56)
    }
    write_results(folder, {**cells, **{("study", "block=residual", depth): spread(0.1) for depth in (8, 56)}})
    stacks = [
        {
            "initialization": "he",
            "block": block,
            "blocks": 9,
            "seed": seed,
            "start_error": 1.0,
            "error": error,
        }
        for block, error in (("plain", 0.5), ("residual", 0.0))
        for seed in range(3)
    ]
    pd.DataFrame(stacks).to_csv(folder / "identity.csv", index=False)
    deepening = {"curve": "block=residual", "deep": "residual-56", "shallow": "residual-8", "bound": 0.1}
    told = [{**deepening, "trained": 0.12, "gap": 0.02, "why_not": why} for why in ("", "by depth alone")]
    pd.DataFrame(told).to_csv(folder / "deepening.csv", index=False)


def test_the_deepening_test_is_shown(tmp_path: Path) -> None:
    write_identity(tmp_path)

    finding = rules.identity(Evidence(tmp_path))

    assert [part.answer for part in finding.parts] == ["confirmed"] * 5
    same, other = finding.tables["Deepening"]
    assert (same["gap"], same["extended"], other["extended"]) == (
        "+2.00 points",
        "same outputs",
        "by depth alone",
    )


def write_ensemble(folder: Path, lesions: Sequence[Mapping[str, object]], paths: Sequence[object]) -> None:
    cells = {("study", "block=plain", 20): spread(0.4), ("study", "block=residual", 20): spread(0.4)}
    cells["study", "block=residual", 56] = spread(0.4)
    dropped = {("drop_path", "drop_path=0", 56): spread(0.2), ("drop_path", "drop_path=0.3", 56): spread(0.1)}
    write_results(folder, {**cells, **dropped})
    columns = ["curve", "depth", "kind", "blocks", "error", "damage"]
    pd.DataFrame(lesions, columns=columns).to_csv(folder / "lesions.csv", index=False)
    columns = ["curve", "depth", "branches", "length", "paths_frac", "gradient_norm", "gradient_frac"]
    pd.DataFrame(paths, columns=columns).to_csv(folder / "paths.csv", index=False)


@pytest.mark.parametrize(("decay", "answer"), [(1.0, "refuted"), (0.5, "refuted"), (0.4, "confirmed")])
def test_short_paths_are_those_through_fewer_than_a_third_of_the_blocks(
    decay: float, answer: str, tmp_path: Path
) -> None:
    # Where each block makes the gradient so much smaller, the lengths are binomial.
    lengths = stats.binom(27, decay / (1 + decay))
    paths = [("block=residual", 56, 27, k, math.comb(27, k) / 2**27, 1.0, lengths.pmf(k)) for k in range(28)]
    lesions = [
        {"curve": curve, "depth": depth, "kind": "remove", "blocks": block, "error": 0.5, "damage": damage}
        for curve, depth, damage in (
            ("block=plain", 20, 0.5),
            ("block=residual", 20, 0.05),
            ("block=residual", 56, 0.02),
        )
        for block in range(3)
    ]
    write_ensemble(tmp_path, lesions, paths)

    finding = rules.ensemble(Evidence(tmp_path))

    assert [part.answer for part in finding.parts] == ["confirmed", "confirmed", answer, "confirmed"]
    assert finding.parts[2].estimate == pytest.approx(lengths.cdf(8))
    table = finding.tables["Paths of residual-56"]
    assert len(table) == 28
    assert table[0]["blocks on the path"] == "0 of 27"


def test_what_no_network_was_left_for_was_not_measured(tmp_path: Path) -> None:
    write_ensemble(tmp_path, [], [])

    parts = rules.ensemble(Evidence(tmp_path)).parts

    assert [part.measured == "not measured" for part in parts] == [True, True, True, False]


def test_a_cell_whose_trainings_all_diverged_stands_in_the_table(tmp_path: Path) -> None:
    write_results(tmp_path, depth_errors(0.1, -0.05))
    change_outcome(tmp_path, ("study", "block=plain", 56), [0, 1, 2])
    change_outcome(tmp_path, ("study", "block=plain", 20), [1])

    rows = tabulate_errors(Evidence(tmp_path))

    assert [(row["depth"], row["seeds"], row["MACs"]) for row in rows[:2]] == [
        ("20", "2 (1 diverged)", "200,000"),
        ("56", "0 (3 diverged)", "560,000"),
    ]
    assert (rows[1]["network"], rows[1]["train error"]) == ("block=plain-56", "not measured")
