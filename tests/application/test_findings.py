"""What the networks are known to show, shown by real training."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from archsearch.journal import RunFolder
from tests.command_line import call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUIETLY = "\nexecution: {executor: inline}\ntracking: {enabled: false}\n"

FAMILIES = """
name: families
data: digits
architecture: {width: 12}
sweep: {block: [plain, residual, dense, highway, grouped], depth: [20]}
training: {epochs: 10, batch_size: 64, learning_rate: 0.1, weight_decay: 1.0e-4}
tracking: {enabled: false}
"""


def run_study(name: str, folder: Path) -> None:
    """Run a study of search_spaces as it stands there, in this process and without MLflow."""
    text = (Path(__file__).parents[2] / "search_spaces" / f"{name}.yaml").read_text()
    (folder / f"{name}.yaml").write_text(text + QUIETLY)
    answer = call("run", f"{name}.yaml", "--json", cwd=folder)
    assert answer.code == 0, answer.err


def test_all_five_families_learn_digits_at_depth_20(tmp_path: Path) -> None:
    (tmp_path / "families.yaml").write_text(FAMILIES)

    answer = call("run", "families.yaml", "--json", cwd=tmp_path)

    assert answer.code == 0, answer.err
    trials = RunFolder(tmp_path / "runs" / "families").history().trials.values()
    reached = {t.architecture["block"]: t.metrics["val_accuracy"] for t in trials}
    assert len(reached) == 5
    assert min(reached.values()) > 0.95, reached
    assert {t.architecture["depth"] for t in trials} == {19, 20}


@pytest.fixture(scope="module")
def degradation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which search_spaces/degradation.yaml was run."""
    folder = tmp_path_factory.mktemp("degradation")
    run_study("degradation", folder)
    return folder


def test_plain_networks_degrade_with_depth_in_training_error_and_residual_ones_do_not(
    degradation: Path,
) -> None:
    errors: dict[tuple[str, int], list[float]] = {}
    for trial in RunFolder(degradation / "runs" / "degradation").history().trials.values():
        place = (trial.architecture["block"], trial.architecture["depth"])
        errors[place] = [replicate.metrics["train_error"] for replicate in trial.replicates.values()]
    assert {len(seeds) for seeds in errors.values()} == {3}
    # Every seed of the deep one is worse than every seed of the shallow one, and by more than their spread.
    assert min(errors["plain", 56]) > max(errors["plain", 20])
    spread = statistics.stdev(errors["plain", 56]) + statistics.stdev(errors["plain", 20])
    difference = statistics.mean(errors["plain", 56]) - statistics.mean(errors["plain", 20])
    assert difference > max(0.05, spread)
    # A residual one fits the training images at every depth, the deepest included.
    assert statistics.mean(errors["residual", 56]) < statistics.mean(errors["residual", 20]) + 0.01
    assert statistics.mean(errors["residual", 56]) < statistics.mean(errors["plain", 56]) / 4


def test_the_report_calls_it_degradation(degradation: Path) -> None:
    report = call("report", "degradation", "--json", cwd=degradation).json

    found = {verdict["family"]: verdict for verdict in report["verdicts"]}
    assert found["plain"]["verdict"] == "degradation"
    assert found["plain"]["evidence"]["decisive"]["p_adjusted"] < 0.01
    assert found["residual"]["verdict"] in ("healthy", "saturated")
    (slopes,) = (
        row for row in report["comparisons"] if (row["question"], row["measure"]) == ("slopes", "train_error")
    )
    assert slopes["p_adjusted"] < 0.01
    assert report["recommendation"]["depth"] < 56


def test_a_residual_network_loses_little_with_a_block_and_a_plain_one_all(degradation: Path) -> None:
    """Veit et al. 2016 (1605.06431), figures 3 and 5, on networks of equal depth."""
    trials = RunFolder(degradation / "runs" / "degradation").history().trials.values()
    number = {(trial.architecture["block"], trial.architecture["depth"]): trial.number for trial in trials}
    chosen = [f"--trial={number[block, 20]}" for block in ("plain", "residual")]
    answer = call("lesion", "degradation", *chosen, "--json", cwd=degradation)

    assert answer.code == 0, answer.err
    plain, residual = answer.json["networks"]
    assert [network["label"].split(" w8")[0] for network in (plain, residual)] == ["plain-20", "residual-20"]

    def median_error(network: dict[str, Any], kind: str) -> float:
        return statistics.median(
            lesion["error"] for lesion in network["study"]["lesions"] if lesion["kind"] == kind
        )

    for kind in ("remove", "exchange"):
        assert median_error(plain, kind) > 0.5, kind
        assert median_error(residual, kind) < 0.15, kind


@pytest.mark.parametrize(
    ("study", "name", "expected"),
    [
        ("overfitting", "overfitting", {"plain": "overfitting", "residual": "overfitting"}),
        ("vanishing_gradients", "vanishing-gradients", {"plain": "vanishing_gradients"}),
    ],
)
def test_the_other_faults_of_depth_are_told_apart(
    study: str, name: str, expected: dict[str, str], tmp_path: Path
) -> None:
    run_study(study, tmp_path)

    report = call("report", name, "--json", cwd=tmp_path).json

    found = {verdict["family"]: verdict["verdict"] for verdict in report["verdicts"]}
    assert {family: found[family] for family in expected} == expected
    # Gates carry gradients to the first layers at a depth at which they vanish without.
    assert found.get("highway") != "vanishing_gradients"
