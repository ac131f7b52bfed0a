"""Export of a network that was really trained, and what load gives back."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import load_file

import archsearch
from archsearch.application import running
from archsearch.application.provenance import find_processor
from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.journal import TrialHistory
from archsearch.models import build_network
from archsearch.study import parse_study
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute
from tests.application.conftest import RunStudy
from tests.command_line import Answer, call

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(searched: RunStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exporting") / "exported"
    answer = export(searched, folder)
    assert (answer.code, answer.err) == (0, "")
    return folder


def export(study: RunStudy, folder: Path, *arguments: object) -> Answer:
    """Without ONNX and torch.export, which take seconds and are tested elsewhere."""
    return study.call("export", study.name, "--output", folder, "--formats", "python", *arguments)


def confirmed_trial(study: RunStudy) -> TrialHistory:
    (trial,) = [trial for trial in study.history().trials.values() if trial.phase == "confirm"]
    return trial


def validation_logits(network: torch.nn.Module) -> torch.Tensor:
    data = ImageDataModule(
        load_dataset(DataSettings(name="digits", train_limit=256)), TrainingSettings(batch_size=64), seed=0
    )
    with torch.inference_mode():
        return torch.cat([network.eval()(images) for images, _ in data.val_dataloader()])


def picked_seed(study: RunStudy) -> int:
    trial = confirmed_trial(study)
    return min(trial.seeds, key=lambda seed: trial.replicates[seed].metrics["val_error"])


def trained_network(study: RunStudy) -> torch.nn.Module:
    """With the weights that its training left in the run folder."""
    trial = confirmed_trial(study)
    network = build_network(resolve_architecture(trial.architecture), (1, 8, 8), 10)
    network.load_state_dict(load_file(study.run_folder.weights(trial.number, picked_seed(study))))
    return network


def test_load_gives_the_trained_network_back_bit_for_bit(searched: RunStudy, exported: Path) -> None:
    trial, seed = confirmed_trial(searched), picked_seed(searched)

    logits = validation_logits(archsearch.load(exported))

    assert torch.equal(logits, validation_logits(trained_network(searched)))
    labels = load_dataset(DataSettings(name="digits", train_limit=256)).val.labels
    wrong = (logits.argmax(1) != labels).double().mean().item()
    told = json.loads((exported / "metrics.json").read_text())
    assert wrong == pytest.approx(trial.replicates[seed].metrics["val_error"])
    assert wrong == pytest.approx(told["validation"]["error"])
    assert (told["trial_number"], told["seed"]) == (trial.number, seed)


def test_images_normalised_as_the_folder_says_are_those_it_was_trained_on(exported: Path) -> None:
    described = YAML(typ="safe").load(exported / "architecture.yaml")
    preprocessing = described["preprocessing"]
    images = load_dataset(DataSettings(name="digits", train_limit=256)).train.images.float() / 255

    assert preprocessing["largest"] == 255
    assert preprocessing["mean"] == pytest.approx([images.mean().item()], rel=1e-4)
    assert preprocessing["std"] == pytest.approx([images.std().item()], rel=1e-2)
    assert described["input_shape"] == [1, 8, 8]
    assert described["classes"] == [str(digit) for digit in range(10)]
    assert described["formats"] == ["python"]


def test_raw_images_are_classified_as_the_trained_network_does(exported: Path) -> None:
    """With nothing but what the folder says: model.py as it stands there."""
    names: dict[str, Any] = {"__name__": "model", "__file__": str(exported / "model.py")}
    exec((exported / "model.py").read_text(), names)
    images = load_dataset(DataSettings(name="digits", train_limit=256)).val.images

    predicted = names["predict"](images).argmax(1)

    assert torch.equal(predicted, validation_logits(archsearch.load(exported)).argmax(1))


def test_metrics_are_those_of_the_journal_and_of_the_test_images(searched: RunStudy, exported: Path) -> None:
    told = json.loads((exported / "metrics.json").read_text())
    replicate = confirmed_trial(searched).replicates[told["seed"]]

    assert told["test"]["error"] == pytest.approx(replicate.test["test_error"])
    assert told["test"]["images"] == len(load_dataset(DataSettings(name="digits")).test)
    assert len(told["test"]["per_class"]) == 10
    assert (told["parameters"], told["macs"]) == (
        confirmed_trial(searched).parameters,
        confirmed_trial(searched).macs,
    )
    assert told["latency"]["ms"]["torch"]["median"] > 0
    measured_on = f"{find_processor()}, {platform.system()} {platform.machine()}, "
    assert told["latency"]["machine"].startswith(measured_on)
    assert f"Measured on {measured_on}" in (exported / "MODEL_CARD.md").read_text()
    assert told["formats"] == {name: {"largest_difference": 0.0} for name in ("safetensors", "python")}
    assert told["pruned"]["variants"][0]["val_accuracy"] == pytest.approx(told["validation"]["accuracy"])


def test_the_folder_verifies_and_checksums_are_those_of_sha256sum(exported: Path) -> None:
    answer = call("verify", exported, "--json", cwd=exported)
    sums = subprocess.run(
        ["sha256sum", "--check", "checksums.txt"], cwd=exported, capture_output=True, text=True
    )

    assert answer.code == 0
    assert answer.json["files"] == sorted(
        path.name for path in exported.iterdir() if path.name != "checksums.txt"
    )
    assert answer.json["differences"]["model.safetensors"] <= 1e-6
    assert sums.returncode == 0
    assert sums.stdout.count(": OK") == len(answer.json["files"])


def test_an_image_file_is_classified_as_the_image_is(exported: Path, tmp_path: Path) -> None:
    images = load_dataset(DataSettings(name="digits")).test.images[:5]
    for number, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(tmp_path / f"{number}.png")
    names: dict[str, Any] = {"__name__": "model", "__file__": str(exported / "model.py")}
    exec((exported / "model.py").read_text(), names)
    expected = names["predict"](images)

    answer = call("predict", exported, *(f"{number}.png" for number in range(5)), "--json", cwd=tmp_path)

    assert [row["file"] for row in answer.json] == [f"{number}.png" for number in range(5)]
    for row, probabilities in zip(answer.json, expected, strict=True):
        assert row["class"] == str(int(probabilities.argmax()))
        own = [row["probabilities"][str(digit)] for digit in range(10)]
        assert own == pytest.approx(probabilities.tolist(), abs=1e-6)
        assert list(row["probabilities"].values()) == sorted(own, reverse=True)


def test_a_coloured_image_of_another_size_is_brought_to_what_the_network_takes(
    exported: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    (tmp_path / "text.png").write_text("no image")

    taken = call("predict", exported, "red.png", cwd=tmp_path)
    refused = call("predict", exported, "text.png", cwd=tmp_path)

    assert (taken.code, refused.code) == (0, 2)
    assert re.match(r"red\.png: \d \d+\.\d%, \d \d+\.\d%, \d \d+\.\d%\n", taken.out)
    assert "text.png: must be an image that can be decoded" in refused.err


def test_the_card_says_how_good_it_is_and_how_to_load_it(searched: RunStudy, exported: Path) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    trial = confirmed_trial(searched)

    assert card.startswith(f"# {trial.name}\n")
    assert f"{trial.metrics['val_error']:.2%} ± {trial.metrics['val_error_std']:.2%}" in card
    assert "archsearch.load(" in card
    assert "| learning_rate | 0.1 |" in card
    assert "from model import CLASSES, load, predict" in card
    assert "onnxruntime" not in card


def test_the_cards_code_for_archsearch_computes_what_the_trained_network_does(
    searched: RunStudy, exported: Path
) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    code = re.findall(r"```python(.*?)```", card, re.DOTALL)[0]
    preprocessing = YAML(typ="safe").load(exported / "architecture.yaml")["preprocessing"]
    raw = load_dataset(DataSettings(name="digits", train_limit=256)).val.images
    (mean,), (std,) = preprocessing["mean"], preprocessing["std"]

    names: dict[str, Any] = {"normalised": (raw / 255 - mean) / std}
    exec(code.replace("path/to/this/folder", str(exported)), names)

    assert "# (raw / 255 - mean) / std" in code
    assert torch.allclose(names["logits"], validation_logits(trained_network(searched)), atol=1e-5)


def test_the_fingerprint_is_that_of_the_images_it_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nothing here asks how fast anything is
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told"))
    text = (
        "name: splits\n"
        "data: {name: digits, train_limit: 128}\n"
        "architecture: {width: 2, depth: 8}\n"
        "sweep: {data.split_seed: [1]}\n"
        "training: {epochs: 1, precision: '32'}\n"
        "execution: {executor: inline, keep: all}\n"
        "tracking: {enabled: false}\n"
    )
    ran = running.run_study(parse_study(text, "splits.yaml"), runs_folder=tmp_path / "runs")
    folder = tmp_path / "exported"

    answer = call("export", "splits", "--output", folder, "--formats", "python", cwd=tmp_path)

    assert (answer.code, answer.err) == (0, "")
    own = load_dataset(DataSettings(name="digits", train_limit=128, split_seed=1)).fingerprint
    assert own != ran.history.header["data_fingerprint"]
    assert json.loads((folder / "metrics.json").read_text())["data_fingerprint"] == own
    assert f"fingerprint `{own}`" in (folder / "MODEL_CARD.md").read_text()


def test_an_export_again_replaces_the_earlier_one(searched: RunStudy, exported: Path, tmp_path: Path) -> None:
    exported = shutil.copytree(exported, tmp_path / "exported")
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    (trial,) = [t for t in searched.history().trials.values() if t.name == "residual-14 w4 pad" and t.metrics]

    answer = export(searched, exported, "--trial", trial.number)

    assert answer.out == f"Exported trial {trial.number} (residual-14 w4 pad) to {exported}\n"
    assert {path.name for path in exported.iterdir()} == set(before)
    assert (exported / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert list(exported.parent.iterdir()) == [exported]


def costs(trial: TrialHistory) -> list[float]:
    """Validation error, parameters, multiply-accumulates, latency: all that is the better for being small."""
    latencies = [replicate.test["latency_ms"] for replicate in trial.replicates.values()]
    parameters, macs = trial.parameters or 0, trial.macs or 0
    return [trial.metrics["val_error"], parameters, macs, median(latencies)]


def find_front(study: RunStudy) -> list[TrialHistory]:
    """The trials to which no other one is as good in everything and better in something, by number."""
    trials = sorted(study.history().trials.values(), key=lambda trial: trial.number)
    return [
        one
        for one in trials
        if not any(
            costs(other) != costs(one)
            and all(theirs <= own for theirs, own in zip(costs(other), costs(one), strict=True))
            for other in trials
        )
    ]


def test_pareto_writes_a_folder_for_each_trial_that_none_beats_in_everything(
    swept: RunStudy, tmp_path: Path
) -> None:
    answer = export(swept, tmp_path / "front", "--pareto", "--json")

    front = find_front(swept)
    folders = {trial.number: tmp_path / "front" / f"trial-{trial.number:04d}" for trial in front}
    assert (answer.code, answer.err) == (0, "")
    assert len(front) > 1
    assert sorted(answer.json["networks"], key=lambda network: network["trial"]) == [
        {"trial": number, "output": str(folder), "formats": ["python"]} for number, folder in folders.items()
    ]
    assert answer.json["trial"] == answer.json["networks"][0]["trial"]
    assert sorted((tmp_path / "front").iterdir()) == sorted(folders.values())
    for trial in front:
        told = json.loads((folders[trial.number] / "metrics.json").read_text())
        assert (told["trial_number"], told["parameters"]) == (trial.number, trial.parameters)
        assert (folders[trial.number] / "MODEL_CARD.md").read_text().startswith(f"# {trial.name}\n")
        assert archsearch.load(folders[trial.number]) is not None


def test_several_networks_are_not_written_into_an_export(
    searched: RunStudy, exported: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported, tmp_path / "exported")
    before = sorted(path.name for path in folder.iterdir())

    answer = export(searched, folder, "--pareto")

    assert answer.code == 2
    assert "--output: must be a folder for several exports" in answer.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_the_best_in_a_measure_and_the_best_of_a_depth_are_exported(swept: RunStudy, tmp_path: Path) -> None:
    trials = list(swept.history().trials.values())
    smallest = min(trials, key=lambda trial: trial.macs or 0)
    # of its depth the only one, and so the best, which it is not of all
    worst = max(trials, key=lambda trial: trial.metrics["val_error"])
    depth = worst.architecture["depth"]

    by_macs = export(swept, tmp_path / "macs", "--best", "macs", "--json")
    by_depth = export(swept, tmp_path / "depth", "--depth", depth, "--json")
    both = export(swept, tmp_path / "both", "--best", "macs", "--depth", depth)

    assert (by_macs.json["trial"], by_depth.json["trial"]) == (smallest.number, worst.number)
    told = json.loads((tmp_path / "depth" / "metrics.json").read_text())
    assert told["trial_number"] == worst.number
    assert both.code == 2
    assert "Give one of --trial, --best, --pareto and --depth." in both.err


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

    answer = export(searched, tmp_path / "out", "--trial", trial.number)

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


def test_damaged_weights_of_the_study_are_named(searched: RunStudy, tmp_path: Path) -> None:
    copy = shutil.copytree(searched.run_folder.path, tmp_path / "copy")
    for path in (copy / "weights").iterdir():
        path.write_bytes(path.read_bytes()[:-8])

    answer = searched.call("export", copy, "--output", tmp_path / "out", "--formats", "python")

    assert answer.code == 2
    assert re.search(r"trial-0012-seed-\d\.safetensors: must be a file of weights", answer.err)
    assert not (tmp_path / "out").exists()


def test_a_study_is_found_by_name_folder_and_yaml_file(searched: RunStudy) -> None:
    answers = [
        searched.call("report", way, "--json") for way in ("searched", "runs/searched", "searched.yaml")
    ]

    assert [answer.code for answer in answers] == [0, 0, 0]
    assert {json.dumps(answer.json) for answer in answers} == {answers[0].out.strip()}
