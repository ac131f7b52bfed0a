"""The rules of the claims that set errors against costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from experiments import cost_rules
from experiments.costs import compare_costs, find_costs, list_rivals, list_targets
from experiments.evidence import Evidence
from tests.experiments.results import Errors, spread, write_results
from tests.experiments.test_rules import change_outcome


def write_counts(folder: Path) -> None:
    counts = [
        {"name": "vgg19", "depth": 19, "parameters": 143_667_240, "macs": 19_632_062_464},
        {"name": "resnet152", "depth": 152, "parameters": 60_192_808, "macs": 11_513_626_624},
    ]
    pd.DataFrame(counts).to_csv(folder / "counts.csv", index=False)


def test_a_vgg_net_that_was_not_trained_is_no_rival(tmp_path: Path) -> None:
    cells = {("study", "block=residual", 56): spread(0.4), ("vgg", "block=plain", 11): spread(0.5)}
    write_results(tmp_path, {**cells, ("vgg", "block=plain", 19): spread(0.7)})
    write_counts(tmp_path)

    finding = cost_rules.fewer_parameters(Evidence(tmp_path))

    deeper, smaller, trained, untrained = finding.parts
    assert (deeper.answered, smaller.answered) == ("confirmed (counted)", "confirmed (counted)")
    assert (trained.answer, untrained.answer) == ("confirmed", "undecided")
    assert untrained.what.endswith("(not asked: VGG-19 was not trained, training error 70%)")
    assert finding.verdict == "in part"


def write_variants(folder: Path) -> None:
    cells: dict[tuple[str, str, int], tuple[float, ...]] = {
        ("study", f"block={family}", depth): spread(error)
        for family, depth, error in (
            ("residual", 20, 0.4),
            ("dense", 19, 0.3),
            ("grouped", 20, 0.3),
            ("highway", 20, 0.5),
        )
    }
    cells |= {("macs", "block=residual", 20): spread(0.4), ("macs", "block=dense", 19): spread(0.45)}
    for depth in (10, 100):
        cells["highway", "block=plain", depth] = spread(depth / 200)
        cells["highway", "block=highway", depth] = spread(0.01)
    write_results(folder, cells)
    rates = [
        {
            "study": "highway",
            "curve": "block=plain",
            "depth": depth,
            "rate": rate,
            "lowest": 0.003,
            "highest": 0.3,
        }
        for depth, rate in ((10, 0.03), (100, 0.003))
    ]
    pd.DataFrame(rates).to_csv(folder / "rates.csv", index=False)


def test_variants_are_compared_at_the_cost_that_is_told(tmp_path: Path) -> None:
    write_variants(tmp_path)

    finding = cost_rules.variants(Evidence(tmp_path))

    assert [part.answer for part in finding.parts] == ["confirmed", "refuted", *["confirmed"] * 4]
    assert finding.parts[1].what == (
        "equal MACs: dense (-5% parameters, -5% MACs) has a lower validation error than residual"
    )
    expected = stats.ttest_ind(spread(0.45), spread(0.4), equal_var=False).confidence_interval(1 - 0.05 / 4)
    assert (finding.parts[1].low, finding.parts[1].high) == pytest.approx(tuple(expected), abs=1e-5)
    inner, edge = finding.tables["Learning rates of the fully connected"]
    assert (inner["note"], edge["note"]) == ("", "at the edge: a better one may lie beyond")


def write_search(folder: Path) -> None:
    cells = {("study", "block=dense", 19): spread(0.30), ("published", "block=residual", 56): spread(0.40)}
    sweep = {("sweep", "block=plain", 20): spread(0.5), ("sweep", "block=residual", 32): spread(0.25)}
    write_results(folder, {**cells, **sweep})


def test_the_search_is_compared_with_the_best_of_the_sweep_too(tmp_path: Path) -> None:
    write_search(tmp_path)

    finding = cost_rules.search(Evidence(tmp_path))

    assert [part.answered for part in finding.parts] == ["confirmed (counted)", "confirmed", "refuted"]
    assert [row["setting"] for row in finding.tables["Answers"]] == [
        "found",
        "published",
        "best of the sweep",
    ]
    assert finding.tables["Answers"][2]["network"] == "block=residual-32"


def test_a_seed_of_the_search_that_diverged_counts_as_a_guess(tmp_path: Path) -> None:
    write_search(tmp_path)
    change_outcome(tmp_path, ("study", "block=dense", 19), [0])

    finding = cost_rules.search(Evidence(tmp_path))

    assert finding.parts[1].estimate == pytest.approx((0.9 + 0.3 + 0.301) / 3 - 0.4)
    assert finding.tables["Answers"][0]["seeds"] == "2 (1 diverged)"


def test_costs_are_counted_until_the_accuracy_is_first_reached(tmp_path: Path) -> None:
    cells: Errors = {
        ("study", "block=residual", 20): spread(0.4),
        ("study", "block=plain", 20): spread(0.4),
        ("macs", "block=residual", 20): spread(0.4),
        ("macs", "block=dense", 20): spread(0.4),
        ("depth", "block=residual", 20): spread(0.4),
        ("depth", "block=plain", 20): spread(0.4),
    }
    write_results(tmp_path, cells)
    # One breaks in its first epoch: it is charged with all three.
    change_outcome(tmp_path, ("study", "block=plain", 20), [1])
    # Residual networks are at 40 % after the first epoch and at 50 % after the second, plain ones never.
    courses = {"residual": (0.6, 0.5, 0.45), "plain": (0.9, 0.8, 0.7), "dense": (0.6, 0.6, 0.5)}
    pd.DataFrame(
        {
            "study": study,
            "curve": curve,
            "depth": depth,
            "seed": seed,
            "epoch": epoch,
            "val_error": error,
            "seconds": 2.0,
        }
        for (study, curve, depth) in cells
        for seed in range(3)
        for epoch, error in enumerate(courses[curve.removeprefix("block=")], start=1)
        if (study, curve, seed) != ("study", "block=plain", 1)
    ).to_csv(tmp_path / "epochs.csv", index=False)

    costs = find_costs(Evidence(tmp_path)).groupby(["family", "target"])

    # 200,000 multiply-accumulates, three times of them an image, 1,000 images an epoch.
    assert costs["macs"].mean().to_dict() == {
        ("dense", 0.4): 6e8,
        ("dense", 0.5): 18e8,
        ("plain", 0.4): 18e8,
        ("plain", 0.5): 18e8,
        ("residual", 0.4): 6e8,
        ("residual", 0.5): 12e8,
    }
    assert costs["seconds"].mean()["residual", 0.5] == 4.0
    assert not costs["reached"].any()["plain", 0.4]
    assert costs["seconds"].mean()["plain", 0.5] == 6.0
    assert len(costs.get_group(("plain", 0.5))) == 6
    parts = cost_rules.cheaper(Evidence(tmp_path)).parts
    assert [part.estimate for part in parts] == pytest.approx([3.0, 1.0, 1.5, 1.5])
    assert parts[0].what == (
        "40% accuracy at equal parameters: plain-20 (0 of 3 reached it: a lower bound) takes more MACs than "
        "residual-20"
    )
    assert list_rivals(Evidence(tmp_path)) == [("study", "plain", 20), ("macs", "dense", 20)]
    # Two rivals at two accuracies: none of four is to be found dearer by chance.
    here = find_costs(Evidence(tmp_path))
    here = here[(here["study"] == "macs") & (here["target"] == 0.4)]
    change = compare_costs(*(here[here["family"] == family] for family in ("residual", "dense")))
    assert change is not None
    low, high = change.interval(1 - 0.05 / 4)
    assert (parts[1].low, parts[1].high) == pytest.approx((10**low, 10**high))


@pytest.mark.parametrize(("epochs", "targets"), [(8, (0.4, 0.5)), (182, (0.8, 0.9))])
def test_more_is_asked_of_a_whole_training(tmp_path: Path, epochs: int, targets: tuple[float, ...]) -> None:
    write_results(tmp_path, {("study", "block=residual", 20): spread(0.3)}, epochs=epochs)

    assert list_targets(Evidence(tmp_path)) == targets
