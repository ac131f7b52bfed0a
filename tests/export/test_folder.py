"""An exported folder that is not as it was written is an error that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from archsearch.architecture import resolve_architecture
from archsearch.errors import ExportError
from archsearch.export import ExportedNetwork, load_export, write_export
from archsearch.models import build_network

ARCHITECTURE = resolve_architecture({"block": "residual", "depth": 8, "width": 4})


def network_with(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_network(ARCHITECTURE, (1, 8, 8), 3)


def exported_network(seed: int = 0) -> ExportedNetwork:
    return ExportedNetwork(
        architecture=ARCHITECTURE,
        input_shape=(1, 8, 8),
        class_names=("no", "yes", "true: #"),
        mean=(0.5,),
        std=(0.25,),
        weights=network_with(seed).state_dict(),
        metrics={"replicate": {"val_error": 0.125}},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_export(exported_network(), "# card\n", tmp_path / "net")
    return tmp_path / "net"


def test_what_was_written_is_given_back_in_evaluation_mode(folder: Path) -> None:
    images = torch.randn(5, 1, 8, 8)
    network = load_export(folder)

    assert not network.training
    assert torch.equal(network(images), network_with(0).eval()(images))


def test_loading_leaves_torchs_random_numbers_as_they_were(folder: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_export(folder)

    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", ["architecture.yaml", "model.safetensors"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ExportError, match=rf"net: must hold {name}\. Export the network again\."):
        load_export(folder)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere: must hold architecture\.yaml"):
        load_export(tmp_path / "nowhere")


def test_another_version_of_the_format_is_named(folder: Path) -> None:
    path = folder / "architecture.yaml"
    path.write_text(path.read_text().replace("format: 1", "format: 2"))

    with pytest.raises(
        ExportError, match=r"architecture\.yaml: must be of format 1, got 2\. Load it with the version"
    ):
        load_export(folder)


def test_truncated_weights_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported"):
        load_export(folder)


def test_a_single_altered_byte_of_the_weights_is_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)

    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported \(.*checksum"):
        load_export(folder)


def test_weights_of_another_network_are_named(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(dict(list(weights.items())[1:]), folder / "model.safetensors")

    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported"):
        load_export(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth: 8", "depth: 9", r"architecture\.yaml: (blocks|depth): must"),
        ("block: residual", "block: {}", r"architecture\.yaml: block: must be one of"),
        ("input_shape: [1, 8, 8]", "input_shape: eight", r"must be as it was exported \(ValueError"),
        ("classes:", "klasses:", r"must be as it was exported \(KeyError: 'classes'\)"),
        ("format: 1", "]", r"architecture\.yaml: must be as it was exported \(ParserError\)"),
        ("format: 1", "", r"architecture\.yaml: must be as it was exported \(it has no format\)"),
    ],
)
def test_an_altered_description_is_named(old: str, new: str, message: str, folder: Path) -> None:
    path = folder / "architecture.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(ExportError, match=message):
        load_export(folder)


def test_tags_that_would_run_code_are_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "architecture.yaml"
    path.write_text(f"!!python/object/apply:os.mkdir ['{tmp_path}/hacked']\n" + path.read_text())

    with pytest.raises(ExportError, match=r"must be as it was exported"):
        load_export(folder)
    assert not (tmp_path / "hacked").exists()


def test_an_earlier_export_is_replaced_whole(folder: Path) -> None:
    write_export(exported_network(seed=1), "# another\n", folder)

    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(load_export(folder)(images), network_with(1).eval()(images))
    assert (folder / "MODEL_CARD.md").read_text() == "# another\n"
    assert json.loads((folder / "metrics.json").read_text()) == {"replicate": {"val_error": 0.125}}
    assert [path.name for path in folder.parent.iterdir()] == ["net"]


def test_an_empty_folder_may_be_written_into_and_a_file_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_export(exported_network(), "# card\n", tmp_path / "empty")
    (tmp_path / "file").write_text("mine")

    load_export(tmp_path / "empty")
    with pytest.raises(ExportError, match="must be a new or empty folder or an earlier export"):
        write_export(exported_network(), "# card\n", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named() -> None:
    place = Path("/proc/archsearch/net")
    if not Path("/proc").is_dir():
        pytest.skip("there is no /proc, the folder in which nobody can make another")

    with pytest.raises(ExportError, match=r"--output: must be writable \(.*\), got '/proc/archsearch/net'"):
        write_export(exported_network(), "# card\n", place)
