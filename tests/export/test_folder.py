"""A folder is written whole or not at all; one that is not as it was written is an error that says why."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from archsearch.architecture import resolve_architecture
from archsearch.errors import ExportError, MismatchError
from archsearch.export import ExportedNetwork, choose_formats, load_export, write_export
from archsearch.export import folder as folder_module
from archsearch.export.folder import Compared, check_differences, difference, load_raw
from archsearch.export.raw_network import build_trained
from tests.command_line import call
from tests.export.networks import describe
from tests.models.test_contract import plugin  # noqa: F401  (a fixture)

ARCHITECTURE = resolve_architecture({"block": "residual", "depth": 8, "width": 4, "shortcut": "projection"})
SHAPE = (1, 8, 8)


def exported_network(seed: int = 0) -> ExportedNetwork:
    return describe(ARCHITECTURE, seed=seed, shape=SHAPE, formats=("python",))


def write(network: ExportedNetwork, output: Path, card: str = "# card\n") -> None:
    def finish(folder: Path, compared: Compared) -> None:
        (folder / "metrics.json").write_text("{}")
        (folder / "MODEL_CARD.md").write_text(card)

    images = torch.randint(0, 256, (16, *network.input_shape), dtype=torch.uint8)
    write_export(network, images, output, finish)


def sum_again(folder: Path) -> None:
    """What somebody who alters a file would do about its checksum."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "checksums.txt"
    ]
    (folder / "checksums.txt").write_text("".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(exported_network(), tmp_path / "net")
    return tmp_path / "net"


def test_what_was_written_is_given_back_in_evaluation_mode(folder: Path) -> None:
    images = torch.randn(5, *SHAPE)
    network = load_export(folder)

    assert not network.training
    assert torch.equal(network(images), build_trained(exported_network())(images))


def test_raw_images_are_normalised_as_the_description_says(folder: Path) -> None:
    images = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8)
    raw, described = load_raw(folder)

    by_hand = (images.double() / 255 - described.mean[0]) / described.std[0]
    assert torch.allclose(raw(images), load_export(folder)(by_hand.float()), atol=1e-5)
    assert described.class_names == ("no", "yes", "true: #")


def test_everybody_may_read_the_files(folder: Path) -> None:
    modes = {path.stat().st_mode for path in folder.iterdir()}

    assert len(modes) == 1


def test_loading_leaves_torchs_random_numbers_as_they_were(folder: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_export(folder)

    assert torch.equal(torch.rand(3), expected)


def test_weights_have_the_names_of_the_source_and_not_of_our_parts(folder: Path) -> None:
    names = set(load_file(folder / "model.safetensors"))

    assert {"stem.0.weight", "stages.1.0.branch.0.weight", "stages.1.0.shortcut.0.weight"} <= names
    assert not any("join" in name for name in names)


@pytest.mark.parametrize("name", ["architecture.yaml", "model.safetensors", "checksums.txt"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ExportError, match=rf"net: must hold {name}\. Export the network again\."):
        load_export(folder)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere: must hold architecture\.yaml"):
        load_export(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("new", "got"), [("format: 1", 1), ("format_version: 1", 1), ("format_version: 3", 3)]
)
def test_an_older_and_a_newer_folder_are_named(new: str, got: int, folder: Path) -> None:
    path = folder / "architecture.yaml"
    path.write_text(path.read_text().replace("format_version: 2", new))

    with pytest.raises(
        ExportError, match=rf"yaml: must be of format_version 2, got {got}\. Load it with the version"
    ):
        load_export(folder)
    for command in (["verify", folder], ["predict", folder, "image.png"]):
        answer = call(*command, cwd=folder)
        assert answer.code == 2
        assert answer.err.startswith(f"archsearch: {path}: must be of format_version 2, got {got}. Load it")


def test_truncated_weights_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported \(.*checksum"):
        load_export(folder)
    sum_again(folder)
    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported"):
        load_export(folder)


def test_a_single_altered_byte_of_the_weights_is_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)

    with pytest.raises(ExportError, match=r"model\.safetensors: must be as it was exported \(.*checksum"):
        load_export(folder)


@pytest.mark.parametrize("change", ["fewer", "other shape"])
def test_weights_of_another_network_are_named(change: str, folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    if change == "fewer":
        del weights["head.1.bias"]
    else:
        weights["head.1.bias"] = torch.zeros(4)
    save_file(weights, folder / "model.safetensors")
    sum_again(folder)

    with pytest.raises(ExportError, match=r"exported \(head\.1\.bias does not fit the architecture\)"):
        load_export(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth: 8", "depth: 9", r"architecture\.yaml: (blocks|depth): must"),
        ("block: residual", "block: {}", r"architecture\.yaml: block: must be one of"),
        ("input_shape: [1, 8, 8]", "input_shape: eight", r"must be as it was exported \(ValueError"),
        ("input_shape: [1, 8, 8]", "input_shape: [8]", r"must be \(channels, height, width\)"),
        ("classes:", "klasses:", r"must be as it was exported \(KeyError: 'classes'\)"),
        ("format_version: 2", "]", r"architecture\.yaml: must be as it was exported \(must be YAML"),
        ("block: residual", "block: " + "[" * 100, r"architecture\.yaml: must be as it was exported \(must"),
        ("format_version: 2", "", r"must be as it was exported \(it has no format_version\)"),
    ],
)
def test_an_altered_description_is_named(old: str, new: str, message: str, folder: Path) -> None:
    path = folder / "architecture.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    sum_again(folder)

    with pytest.raises(ExportError, match=message):
        load_export(folder)


def test_an_altered_description_does_not_match_its_checksum(folder: Path) -> None:
    path = folder / "architecture.yaml"
    path.write_text(path.read_text().replace("mean: [0.4]", "mean: [0.5]"))

    with pytest.raises(ExportError, match=r"architecture\.yaml: must be as it was exported \(its checksum"):
        load_export(folder)


@pytest.mark.parametrize("content", ["", "nonsense\n", "abc  model.safetensors\n"])
def test_altered_checksums_are_named(content: str, folder: Path) -> None:
    (folder / "checksums.txt").write_text(content)

    with pytest.raises(ExportError, match=r"checksums\.txt: must be as it was exported"):
        load_export(folder)


def test_tags_that_would_run_code_are_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "architecture.yaml"
    path.write_text(f"!!python/object/apply:os.mkdir ['{tmp_path}/hacked']\n" + path.read_text())
    sum_again(folder)

    with pytest.raises(ExportError, match=r"must be as it was exported"):
        load_export(folder)
    assert not (tmp_path / "hacked").exists()


def test_loading_runs_nothing_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "model.py").write_text(f"import os; os.mkdir('{tmp_path}/hacked')\n")

    load_export(folder)

    assert not (tmp_path / "hacked").exists()


def test_an_earlier_export_is_replaced_whole(folder: Path) -> None:
    write(exported_network(seed=1), folder, "# another\n")

    images = torch.randn(2, *SHAPE)
    assert torch.equal(load_export(folder)(images), build_trained(exported_network(seed=1))(images))
    assert (folder / "MODEL_CARD.md").read_text() == "# another\n"
    assert [path.name for path in folder.parent.iterdir()] == ["net"]


def test_an_empty_folder_may_be_written_into_and_a_file_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(exported_network(), tmp_path / "empty")
    (tmp_path / "file").write_text("mine")

    load_export(tmp_path / "empty")
    with pytest.raises(ExportError, match="must be a new or empty folder or an earlier export"):
        write(exported_network(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named() -> None:
    place = Path("/proc/archsearch/net")
    if not Path("/proc").is_dir():
        pytest.skip("there is no /proc, the folder in which nobody can make another")

    with pytest.raises(ExportError, match=r"--output: must be writable \(.*\), got '/proc/archsearch/net'"):
        write(exported_network(), place)


@pytest.mark.parametrize("earlier", [True, False])
def test_a_file_that_computes_something_else_leaves_no_folder(
    earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier:
        write(exported_network(), tmp_path / "net")
    before = sorted(tmp_path.rglob("*"))
    write_all = folder_module.write_formats

    def write_wrongly(network: ExportedNetwork, raw: nn.Module, folder: Path) -> None:
        write_all(network, raw, folder)
        source = folder / "model.py"
        source.write_text(source.read_text().replace("MEAN = (0.4,)", "MEAN = (0.4001,)"))

    monkeypatch.setattr(folder_module, "write_formats", write_wrongly)

    with pytest.raises(MismatchError, match=r"model\.py does not compute what the trained network does"):
        write(exported_network(seed=1), tmp_path / "net")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_difference_is_counted_in_the_largest_logit_and_what_is_no_number_is_none() -> None:
    expected = torch.tensor([[10.0, -20.0]])

    assert difference(torch.tensor([[10.0, -19.0]]), expected) == pytest.approx(1 / 20)
    assert difference(torch.tensor([[0.1]]), torch.tensor([[0.0]])) == pytest.approx(0.1)
    for wrong in (torch.tensor([[float("nan"), -20.0]]), torch.tensor([[10.0]])):
        with pytest.raises(MismatchError, match=r"model\.onnx does not"):
            check_differences({"onnx": difference(wrong, expected)})
    check_differences({"onnx": 5e-5, "pt2": 0.0})
    with pytest.raises(MismatchError, match=r"model\.pt2 .* differ by 1e-08 of the largest, and may by 0"):
        check_differences({"pt2": 1e-8})


def test_a_format_that_cannot_be_written_is_left_out_or_refused(plugin: None) -> None:  # noqa: F811
    network = describe(resolve_architecture({"block": "depthwise", "depth": 8, "width": 4}))

    chosen, notes = choose_formats(None, network)

    assert (chosen, len(notes)) == (("onnx", "pt2"), 1)
    assert "model.py is not written, for block depthwise comes from a plugin" in notes[0]
    with pytest.raises(
        ExportError, match=r"--formats: must be what .* plugin.*\. Left: safetensors,onnx,pt2"
    ):
        choose_formats(["python"], network)


def test_weights_beyond_what_onnx_can_hold_are_refused_before_anything_is_written() -> None:
    network = exported_network()
    with torch.device("meta"):
        large = {**network.weights, "head.1.weight": torch.empty(2**29, 1)}
    network = ExportedNetwork(**{**vars(network), "weights": large})

    chosen, notes = choose_formats(None, network)

    assert chosen == ("python", "pt2")
    assert re.search(r"model\.onnx is not written, for it can hold 2 GiB and the weights are 2\.0", notes[0])
    with pytest.raises(ExportError, match=r"--formats: .*Left: safetensors,python,pt2"):
        choose_formats(["onnx"], network)


def test_a_network_of_drop_path_and_gates_is_given_back(tmp_path: Path) -> None:
    for number, fields in enumerate(
        (
            {"depth": 8, "width": 4, "drop_path": 0.5, "shortcut": "gate"},
            {"block": "highway", "depth": 8, "width": 4, "preactivation": True},
        )
    ):
        network = describe(resolve_architecture(fields), formats=("python",))
        write(network, tmp_path / str(number))
        images = torch.randn(2, *network.input_shape)

        assert torch.equal(load_export(tmp_path / str(number))(images), build_trained(network)(images))
