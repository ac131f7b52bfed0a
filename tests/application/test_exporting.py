"""Export of a network that was really trained, and what load gives back."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

import archsearch
from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.models import build_network
from archsearch.study.settings import DataSettings, TrainingSettings
from tests.application.conftest import RunStudy


@pytest.fixture
def exported(searched: RunStudy, tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    answer = searched.call("export", "searched", "--output", folder)
    assert (answer.code, answer.err) == (0, "")
    return folder


def validation_logits(network: torch.nn.Module) -> torch.Tensor:
    data = ImageDataModule(
        load_dataset(DataSettings(name="digits", train_limit=256)), TrainingSettings(batch_size=64), seed=0
    )
    with torch.inference_mode():
        return torch.cat([network.eval()(images) for images, _ in data.val_dataloader()])


def test_load_gives_the_trained_network_back_bit_for_bit(searched: RunStudy, exported: Path) -> None:
    (trial,) = [trial for trial in searched.history().trials.values() if trial.phase == "confirm"]
    seed = min(trial.seeds, key=lambda seed: trial.replicates[seed].metrics["val_error"])
    trained = build_network(resolve_architecture(trial.architecture), (1, 8, 8), 10)
    trained.load_state_dict(load_file(searched.run_folder.weights(trial.number, seed)))

    logits = validation_logits(archsearch.load(exported))

    assert torch.equal(logits, validation_logits(trained))
    labels = load_dataset(DataSettings(name="digits", train_limit=256)).val.labels
    wrong = (logits.argmax(1) != labels).double().mean().item()
    told = json.loads((exported / "metrics.json").read_text())
    assert wrong == pytest.approx(trial.replicates[seed].metrics["val_error"])
    assert wrong == pytest.approx(told["replicate"]["val_error"])
    assert (told["trial_number"], told["seed"]) == (trial.number, seed)


def test_images_normalised_as_the_folder_says_are_those_it_was_trained_on(exported: Path) -> None:
    described = YAML(typ="safe").load(exported / "architecture.yaml")
    normal = described["normalization"]
    dataset = load_dataset(DataSettings(name="digits", train_limit=256))
    images = dataset.train.images.float()
    scaled = images / 255 if dataset.train.images.dtype == torch.uint8 else images

    assert normal["mean"] == pytest.approx([scaled.mean().item()], rel=1e-4)
    assert normal["std"] == pytest.approx([scaled.std().item()], rel=1e-2)
    assert described["input_shape"] == [1, 8, 8]
    assert described["classes"] == [str(digit) for digit in range(10)]


def test_the_card_says_how_good_it_is_and_how_to_load_it(searched: RunStudy, exported: Path) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    (trial,) = [trial for trial in searched.history().trials.values() if trial.phase == "confirm"]

    assert card.startswith(f"# {trial.name}\n")
    assert f"{trial.metrics['val_error']:.2%} ± {trial.metrics['val_error_std']:.2%}" in card
    assert "archsearch.load(" in card
    assert "| learning_rate | 0.1 |" in card


def test_an_export_again_replaces_the_earlier_one(searched: RunStudy, exported: Path) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    (trial,) = [t for t in searched.history().trials.values() if t.name == "residual-14 w4 pad" and t.metrics]

    answer = searched.call("export", "searched", "--output", exported, "--trial", trial.number)

    assert answer.out == f"Exported trial {trial.number} (residual-14 w4 pad) to {exported}\n"
    assert {path.name for path in exported.iterdir()} == set(before)
    assert (exported / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert list(exported.parent.iterdir()) == [exported]


def test_a_folder_of_other_things_is_left_alone(searched: RunStudy, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("the only copy")

    answer = searched.call("export", "searched", "--output", tmp_path / "thesis")

    assert answer.code == 2
    assert re.search(
        r"--output: must be a new or empty folder or an earlier export, got '/.*\. Choose", answer.err
    )
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize("outcome", ["failed", "pruned", "infeasible"])
def test_a_trial_without_a_trained_network_is_refused(
    outcome: str, searched: RunStudy, tmp_path: Path
) -> None:
    trial = next(t for t in searched.history().trials.values() if t.outcome == outcome)

    answer = searched.call("export", "searched", "--output", tmp_path / "out", "--trial", trial.number)

    assert answer.code == 2
    assert "--trial: must be a trial with a trained network" in answer.err
    assert f"Its outcome is {outcome} ({trial.reason})." in answer.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_trial_and_an_unknown_study_are_refused(searched: RunStudy, tmp_path: Path) -> None:
    unknown = searched.call("export", "searched", "--output", tmp_path / "out", "--trial", 99)
    other = searched.call("export", "serched", "--output", tmp_path / "out")

    assert (unknown.code, other.code) == (2, 2)
    assert "--trial: must be a trial of the study, got 99. It has trials 0 to 12." in unknown.err
    assert "must be the name of a study that was run, got serched. Studies in runs: searched." in other.err


def test_a_study_whose_weights_were_deleted_says_so(searched: RunStudy, tmp_path: Path) -> None:
    shutil.copytree(searched.run_folder.path, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "weights")

    answer = searched.call("export", tmp_path / "copy", "--output", tmp_path / "out")

    assert answer.code == 2
    assert re.search(
        r"trial-0012-seed-\d\.safetensors: must hold the weights of trial 12, which were not kept", answer.err
    )


def test_a_study_is_found_by_name_folder_and_yaml_file(searched: RunStudy) -> None:
    answers = [
        searched.call("report", way, "--json") for way in ("searched", "runs/searched", "searched.yaml")
    ]

    assert [answer.code for answer in answers] == [0, 0, 0]
    assert {json.dumps(answer.json) for answer in answers} == {answers[0].out.strip()}
