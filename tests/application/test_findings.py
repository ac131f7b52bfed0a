"""What the networks are known to show, shown by real training."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

import pytest

from archsearch.journal import RunFolder
from tests.command_line import call

pytestmark = pytest.mark.slow

FAMILIES = """
name: families
data: digits
architecture: {width: 12}
sweep: {block: [plain, residual, dense, highway, grouped], depth: [20]}
training: {epochs: 10, batch_size: 64, learning_rate: 0.1, weight_decay: 1.0e-4}
tracking: {enabled: false}
"""


def test_all_five_families_learn_digits_at_depth_20(tmp_path: Path) -> None:
    (tmp_path / "families.yaml").write_text(FAMILIES)

    answer = call("run", "families.yaml", "--json", cwd=tmp_path)

    assert answer.code == 0, answer.err
    trials = RunFolder(tmp_path / "runs" / "families").history().trials.values()
    reached = {t.architecture["block"]: t.metrics["val_accuracy"] for t in trials}
    assert len(reached) == 5
    assert min(reached.values()) > 0.95, reached
    assert {t.architecture["depth"] for t in trials} == {19, 20}


def test_plain_networks_degrade_with_depth_in_training_error_and_residual_ones_do_not(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "search_spaces" / "degradation.yaml", tmp_path)

    answer = call("run", "degradation.yaml", "--json", cwd=tmp_path)

    assert answer.code == 0, answer.err
    errors: dict[tuple[str, int], list[float]] = {}
    for trial in RunFolder(tmp_path / "runs" / "degradation").history().trials.values():
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
