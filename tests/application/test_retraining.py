"""A chosen network trained afresh, for a study that was really run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from scipy import stats

import archsearch
from archsearch.data import load_dataset
from archsearch.study.settings import DataSettings
from tests.application.conftest import RunStudy
from tests.application.test_exporting import confirmed_trial, export


@pytest.fixture(scope="module")
def folder(searched: RunStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retraining") / "net"
    answer = export(searched, folder, "--retrain", "--epochs", 3, "--seeds", 2)
    assert answer.code == 0, answer.err
    assert answer.err.count("on digits+val: trained in") == 2
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text())


def of_test_images(facts: Any) -> list[str]:
    """What metrics.json says of test images besides of the exported network, and of the trial before it."""
    others = {name: value for name, value in facts.items() if name not in ("test", "of_trial")}
    return re.findall(r'"test_\w+"', json.dumps(others))


def test_it_is_trained_on_all_but_the_test_images_under_seeds_that_the_study_has_not_used(
    searched: RunStudy, facts: Any
) -> None:
    data = load_dataset(DataSettings(name="digits", train_limit=256))
    used = {seed for trial in searched.history().trials.values() for seed in trial.replicates}
    seeds = {row["seed"] for row in facts["retrained"]["seeds"]}

    assert facts["retrained"]["images"] == len(data.train) + len(data.val)
    assert facts["retrained"]["epochs"] == 3
    assert len(seeds) == 2
    assert not seeds & used


def test_the_seed_is_picked_by_its_training_loss_and_nothing_is_said_of_images_it_has_seen(
    facts: Any,
) -> None:
    rows = facts["retrained"]["seeds"]
    best = min(rows, key=lambda row: row["train_loss_eval"])

    assert facts["seed"] == facts["retrained"]["picked_seed"] == best["seed"]
    assert facts["validation"] is None
    assert facts["pruned"]["variants"] == []
    assert not any(name.startswith("val_") for row in rows for name in row)
    assert of_test_images(facts) == []


def test_the_figures_that_normalise_are_those_of_the_images_it_was_trained_on(folder: Path) -> None:
    data = load_dataset(DataSettings(name="digits", train_limit=256))
    images = torch.cat([data.train.images, data.val.images]).double() / 255
    text = (folder / "model.py").read_text()
    mean = float(text.split("MEAN = (")[1].split(",")[0])

    assert mean == pytest.approx(images.mean().item(), rel=1e-9)
    assert mean != pytest.approx(data.mean[0], rel=1e-9)


def test_its_test_accuracy_is_that_of_what_was_exported(folder: Path, facts: Any) -> None:
    data = load_dataset(DataSettings(name="digits", train_limit=256))
    names: dict[str, Any] = {"__name__": "model", "__file__": str(folder / "model.py")}
    exec((folder / "model.py").read_text(), names)

    right = names["predict"](data.test.images).argmax(1) == data.test.labels

    assert facts["test"]["accuracy"] == pytest.approx(right.double().mean().item())
    assert archsearch.load(folder) is not None


def test_the_card_names_the_epochs_that_these_weights_were_trained_for(
    searched: RunStudy, folder: Path
) -> None:
    assert confirmed_trial(searched).training["epochs"] != 3
    assert "| epochs | 3 |" in (folder / "MODEL_CARD.md").read_text()


def test_the_optimism_is_the_best_of_the_search_less_the_mean_of_its_confirmation(
    searched: RunStudy, facts: Any
) -> None:
    searched_trials = [
        trial
        for trial in searched.history().trials.values()
        if trial.phase == "search" and trial.outcome == "complete"
    ]
    best = max(trial.metrics["val_accuracy"] for trial in searched_trials)
    fresh = [r.metrics["val_accuracy"] for r in confirmed_trial(searched).replicates.values()]
    found = facts["retrained"]["optimism"]
    low, high = stats.t.interval(0.95, len(fresh) - 1, loc=fmean(fresh), scale=stats.sem(fresh))

    assert found["candidates"] == len(searched_trials)
    assert found["optimism"] == pytest.approx(best - fmean(fresh))
    assert found["optimism_low"] == pytest.approx(best - high)
    assert found["optimism_high"] == pytest.approx(best - low)
    assert "own confirmations" in found["fresh_from"]


def test_what_was_trained_is_not_trained_again_and_gives_the_same_folder(
    searched: RunStudy, folder: Path, tmp_path: Path
) -> None:
    answer = export(searched, tmp_path / "again", "--retrain", "--epochs", 3, "--seeds", 2)

    assert answer.err.count("trained before") == 2
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        folder / "model.safetensors"
    ).read_bytes()


def test_a_trial_that_was_not_confirmed_is_compared_with_fresh_trainings_on_its_own_split(
    searched: RunStudy, tmp_path: Path
) -> None:
    trial = next(
        t for t in searched.history().trials.values() if t.phase == "search" and t.outcome == "complete"
    )
    answer = export(
        searched, tmp_path / "net", "--trial", trial.number, "--retrain", "--seeds", 2, "--data", "train"
    )
    facts = json.loads((tmp_path / "net" / "metrics.json").read_text())
    card = (tmp_path / "net" / "MODEL_CARD.md").read_text()
    found = facts["retrained"]["optimism"]

    assert answer.code == 0, answer.err
    assert facts["validation"] is not None
    assert of_test_images(facts) == []
    assert "Of these seeds the picked one alone was evaluated on the test images, once." in card
    assert found["promised"] == pytest.approx(trial.metrics["val_accuracy"])
    assert found["fresh"] == [row["val_accuracy"] for row in facts["retrained"]["seeds"]]
    assert "trainings made for this" in found["fresh_from"]


def test_options_of_retraining_need_it(searched: RunStudy, tmp_path: Path) -> None:
    answer = export(searched, tmp_path / "net", "--epochs", 3)

    assert answer.code == 2
    assert "--epochs goes with --retrain." in answer.err
