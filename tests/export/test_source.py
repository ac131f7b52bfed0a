"""model.py computes what the network computes, whatever its architecture, and reads as if written for it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from archsearch.architecture import BLOCKS, Architecture, resolve_architecture
from archsearch.architecture.builtin import BUILTIN_BLOCKS
from archsearch.export.naming import to_plain
from archsearch.export.raw_network import RawNetwork, build_trained
from archsearch.export.source import find_foreign, write_source
from tests.architecture.random_fields import random_architectures
from tests.export.networks import describe
from tests.models.contract import settings_of_block
from tests.models.test_contract import plugin  # noqa: F401  (a fixture)

RESIDUAL = resolve_architecture({"depth": 8, "width": 4})


def import_source(folder: Path, network: Any, name: str = "model") -> Any:
    """Import the module of a network from a folder that holds it and its weights."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(write_source(network))
    save_file(to_plain(network.weights, network.architecture), folder / "model.safetensors")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_sources(architectures: Sequence[Architecture], folder: Path) -> None:
    for number, architecture in enumerate(architectures):
        network = describe(architecture, seed=number)
        images = torch.randint(0, 256, (3, *network.input_shape), dtype=torch.uint8)
        raw = RawNetwork(build_trained(network), network)
        module = import_source(folder, network, f"model_{number}")

        with torch.no_grad():
            expected = raw(images.float())
            logits = module.load()(module.prepare(images))

        assert torch.equal(logits, expected), architecture
        assert torch.equal(module.predict(images), expected.softmax(1)), architecture
    for command in (["format", "--check"], ["check", "--select", "E,F,W,I,UP,B,SIM,RET"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", str(folder)]
        answer = subprocess.run(ruff, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stdout


def test_the_source_of_random_networks_computes_the_same_bits_and_is_formatted(tmp_path: Path) -> None:
    architectures = [a for a in random_architectures(24, seed=42) if a.layout != "vgg"]
    assert {a.block for a in architectures} == {block.name for block in BUILTIN_BLOCKS}

    check_sources(architectures, tmp_path)


@pytest.mark.slow
def test_the_source_of_every_block_form_order_and_shortcut_computes_the_same_bits(tmp_path: Path) -> None:
    contract = [resolve_architecture(f) for block in BUILTIN_BLOCKS for f in settings_of_block(block.name)]

    check_sources([*contract, *random_architectures(150, seed=32)], tmp_path)


def test_the_source_names_nothing_of_ours_and_no_piece_that_the_network_lacks() -> None:
    text = write_source(describe(RESIDUAL))

    assert "archsearch" not in text
    for lacking in ("group_norm", "Bias", "Scale", "gate", "Linear(16, 16)", "torch.cat", "Dropout"):
        assert lacking not in text
    assert "stage(1, 4, 4, stride=1),\n            stage(1, 4, 8, stride=2),\n" in text


def test_a_single_image_and_channels_at_the_end_are_taken_too(tmp_path: Path) -> None:
    network = describe(RESIDUAL, shape=(3, 6, 10))
    module = import_source(tmp_path, network)
    images = torch.randint(0, 256, (4, 3, 6, 10), dtype=torch.uint8)

    expected = module.predict(images)

    assert torch.equal(module.predict(images.permute(0, 2, 3, 1)), expected)
    assert torch.equal(module.predict(images[0].permute(1, 2, 0).numpy()), module.predict(images[:1]))
    with pytest.raises(ValueError, match=r"must be images of \(3, 6, 10\), got \(4, 3, 10, 6\)"):
        module.predict(images.mT)


def test_an_image_whose_sides_are_its_channels_is_taken_as_channels_first(tmp_path: Path) -> None:
    module = import_source(tmp_path, describe(RESIDUAL, shape=(3, 3, 3)))
    images = torch.randint(0, 256, (2, 3, 3, 3), dtype=torch.uint8)

    by_hand = (images.double() / 255 - torch.tensor([0.4, 0.45, 0.5]).view(3, 1, 1)) / torch.tensor(
        [0.3, 0.25, 0.2]
    ).view(3, 1, 1)
    assert torch.allclose(module.prepare(images), by_hand.float(), atol=1e-5)


def test_flat_inputs_of_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    architecture = resolve_architecture({"layout": "mlp", "depth": 3, "width": 6})
    network = describe(architecture, shape=(7,), largest=1)
    module = import_source(tmp_path, network)
    inputs = torch.randn(5, 7)

    with torch.no_grad():
        expected = RawNetwork(build_trained(network), network)(inputs).softmax(1)

    assert torch.equal(module.predict(inputs), expected)
    assert torch.allclose(module.predict(inputs[2]), expected[2:3], atol=1e-6)


def test_names_of_classes_stay_what_they_are(tmp_path: Path) -> None:
    names = (
        'say "a"',
        "it's",
        "both ' and \"",
        "back\\slash",
        "newline\n",
        "tab\t",
        "café",
        "\x07",
        "{braces}",
    )
    network = describe(RESIDUAL, class_names=names)

    assert names == import_source(tmp_path, network).CLASSES
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", str(tmp_path)]
    assert subprocess.run(ruff, capture_output=True).returncode == 0


def test_what_a_plugin_brings_has_no_source(plugin: None) -> None:  # noqa: F811
    assert find_foreign(resolve_architecture({"block": "depthwise"})) == "block depthwise"
    assert find_foreign(resolve_architecture({"shortcut": "averaged"})) == "shortcut averaged"
    assert not any(find_foreign(resolve_architecture({"block": name})) for name in ("plain", "dense"))
    assert len(BLOCKS) > len(BUILTIN_BLOCKS)
