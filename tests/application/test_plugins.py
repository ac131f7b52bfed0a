"""A package of one's own: its block, on its data, for its metric, in worker processes, to the export."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Answer, call_apart

pytestmark = pytest.mark.slow

MODULE = """
import torch
from torch import nn
from torchmetrics.classification import MulticlassAccuracy

from archsearch.architecture import BlockDefinition, BranchForm
from archsearch.data import RawData, Source, Split

SLIM = BlockDefinition("slim", "add", {"basic": BranchForm("my_parts:Slim", layers=2)})


class Slim(nn.Sequential):
    def __init__(self, plan, layers):
        super().__init__(
            *layers.arrange(
                layers.weighted(plan.in_channels, plan.inner_channels, 1, stride=plan.stride),
                layers.weighted(plan.inner_channels, plan.out_channels, 3),
            )
        )


def stripes(settings):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(settings.samples) % 2
    images = torch.rand(settings.samples, 1, 8, 8, generator=generator)
    images[labels == 1, :, ::2] += 1
    return RawData(Split(images, labels), classes=("noise", "stripes"))


STRIPES = Source(stripes)


def make_balanced(classes):
    return MulticlassAccuracy(classes, average="macro")
"""

ENTRY_POINTS = """
[archsearch.blocks]
slim = my_parts:SLIM
[archsearch.data]
stripes = my_parts:STRIPES
[archsearch.metrics]
balanced = my_parts:make_balanced
"""

STUDY = """
name: own-parts
plugins: [my-parts]
data: {name: stripes, samples: 200}
architecture: {block: slim, depth: 8, width: 4}
objectives: {val_balanced: maximize}
training: {epochs: 3, batch_size: 32}
execution: {executor: local, workers: 1}
tracking: {enabled: false}
"""

LOAD = "import archsearch, torch; print(archsearch.load('out')(torch.zeros(2, 1, 8, 8)).shape)"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(empty_store, folder / "mlflow.db")
    info = folder / "site" / "my_parts-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "site" / "my_parts.py").write_text(MODULE)
    (folder / "own.yaml").write_text(STUDY)
    return folder


def installed(place: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(place / "site")}


@pytest.fixture(scope="module")
def ran(place: Path) -> Answer:
    return call_apart("run", "own.yaml", "--json", cwd=place, env=installed(place))


def test_a_package_brings_block_data_and_metric(ran: Answer) -> None:
    assert ran.code == 0, ran.err
    assert ran.json["trials"] == {"complete": 1}
    best = ran.json["best"]
    assert best["architecture"]["block"] == "slim"
    # As many of either class are in the validation set, so the mean over the classes is the accuracy.
    assert best["value"] == pytest.approx(best["metrics"]["val_accuracy"], abs=0.01)


def test_without_plugins_its_block_is_unknown(place: Path) -> None:
    (place / "without.yaml").write_text(STUDY.replace("plugins: [my-parts]\n", ""))

    answer = call_apart("run", "without.yaml", cwd=place, env=installed(place))

    assert (answer.code, answer.out) == (2, "")
    assert "without.yaml:4: architecture.block: must be one of plain, residual, dense" in answer.err
    assert "got slim" in answer.err


def test_a_package_that_is_not_installed_is_named(place: Path) -> None:
    answer = call_apart("run", "own.yaml", "--runs-dir", "elsewhere", cwd=place)

    assert answer.code == 2
    assert "own.yaml:3: plugins[0]: must be" in answer.err
    assert "got 'my-parts'. Install it first." in answer.err
    assert not (place / "elsewhere").exists()


@pytest.mark.slow
def test_its_network_is_exported_and_loaded_where_the_package_is(ran: Answer, place: Path) -> None:
    exported = call_apart("export", "own-parts", "--output", "out", cwd=place, env=installed(place))
    assert exported.code == 0, exported.err

    def load(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LOAD]
        return subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )

    assert load(installed(place)).stdout == "torch.Size([2, 2])\n"
    without = load(dict(os.environ))
    assert without.stderr.splitlines()[-1] == (
        "archsearch.errors.ExportError: out/architecture.yaml: plugins: needs the package my-parts, which "
        "is not installed. Install it, then load the network again."
    )
