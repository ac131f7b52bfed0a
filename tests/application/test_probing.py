"""Lesions and the deepening test on the networks of a study that was run."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from PIL import Image

from archsearch.application.probing import _batch
from archsearch.application.trained import TrainedNetwork
from archsearch.architecture import resolve_architecture
from archsearch.data.dataset import Split, build_dataset
from archsearch.data.module import Normalisation
from tests.application.conftest import RunStudy

pytestmark = pytest.mark.slow


def test_lesions_of_the_deepest_networks_are_listed_and_drawn(swept: RunStudy) -> None:
    answer = swept.call("lesion", "swept", "--json", "--draws", 2, "--pairs", 3)

    assert answer.code == 0, answer.err
    networks = {network["family"]: network for network in answer.json["networks"]}
    assert {"plain", "dense", "residual"} == set(networks)
    assert networks["plain"]["label"].startswith("plain-14")
    trial = swept.history().trials[networks["plain"]["trial"]]
    seed = networks["plain"]["seed"]
    # the network is the trained one: unharmed, it errs as its training said
    assert networks["plain"]["study"]["error"] == pytest.approx(trial.replicates[seed].metrics["val_error"])
    assert networks["plain"]["paths"] == []
    assert networks["residual"]["paths"]
    with Image.open(swept.folder / answer.json["picture"]) as picture:
        assert picture.format == "PNG"
    with (swept.folder / answer.json["table"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} == {"remove", "pair", "random", "exchange", "repeat"}
    assert len(rows) == sum(len(network["study"]["lesions"]) for network in networks.values())


def test_some_of_the_images_are_of_all_classes_though_they_are_listed_by_class() -> None:
    labels = torch.arange(10).repeat_interleave(100)
    split = Split(labels.view(-1, 1).float(), labels)
    dataset = build_dataset("sorted", split, split, split, classes=tuple("abcdefghij"))
    trained = TrainedNetwork("plain-8", 0, 0, resolve_architecture({"block": "plain"}), dataset, None)

    images, drawn = _batch(trained, 100)

    assert torch.equal(drawn.unique(), torch.arange(10))
    assert torch.equal(images, Normalisation(dataset, torch.device("cpu"))(drawn.view(-1, 1).float()))
    assert torch.equal(_batch(trained, 100)[1], drawn)
    assert torch.equal(_batch(trained, 0)[1].sort().values, labels)


def test_people_see_a_row_a_network(swept: RunStudy) -> None:
    out = swept.call("lesion", "swept", "--trial", 0, "--draws", 1, "--images", 30).out

    (row,) = [line for line in out.splitlines() if line.startswith(("plain-8", "resnet20"))]
    assert row.count("%") >= 4


def test_a_trial_that_is_not_there_is_refused(swept: RunStudy) -> None:
    answer = swept.call("lesion", "swept", "--trial", 77)

    assert answer.code == 2
    assert "--trial: must be a trial of the study, got 77. It has trials 0 to 4." in answer.err


def test_deepening_compares_each_network_with_the_best_shallower_one(swept: RunStudy) -> None:
    answer = swept.call("deepen", "swept", "--json")

    assert answer.code == 0, answer.err
    tests = {test["curve"]: test for test in answer.json}
    errors = {trial.name: trial.metrics["train_error"] for trial in swept.history().trials.values()}
    plain, dense = tests["block=plain"], tests["block=dense"]
    assert plain["gap"] == pytest.approx(errors[plain["deep"]] - errors[plain["shallow"]])
    assert (plain["why_not"], "depth alone" in dense["why_not"]) == ("", True)
    assert "Not built: architecture" in swept.call("deepen", "swept").out


def test_deepening_needs_two_depths(searched: RunStudy) -> None:
    answer = searched.call("deepen", "searched")

    assert (answer.code, answer.err) == (
        2,
        "archsearch: STUDY: must have a curve of two finished depths, got searched.\n",
    )


def test_identity_prints_a_row_a_stack(swept: RunStudy) -> None:
    arguments = ["identity", "--blocks", 1, "--seeds", 2, "--steps", 20]
    found = json.loads(swept.call(*arguments, "--json").out)

    assert [(test["block"], test["seed"]) for test in found] == [
        ("plain", 0),
        ("plain", 1),
        ("residual", 0),
        ("residual", 1),
    ]
    rows = [line.split() for line in swept.call(*arguments).out.splitlines()]
    assert [row[:2] for row in rows[2:]] == [["plain", "1"], ["residual", "1"]]
