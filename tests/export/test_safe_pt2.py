"""A .pt2 that would run more than its graph is refused before torch opens it."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from archsearch.architecture import resolve_architecture
from archsearch.errors import ExportError
from archsearch.export import write_export
from archsearch.export.folder import Compared
from archsearch.export.probe import describe_probe, make_probe
from archsearch.export.safe_pt2 import check_pt2
from tests.command_line import Answer, call
from tests.export.networks import describe
from tests.export.test_folder import sum_again

Entries = dict[str, bytes]


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def config(**entries: Any) -> bytes:
    return json.dumps({"config": entries}).encode()


def weight(path_name: str = "weight_0", *, use_pickle: bool = False) -> dict[str, Any]:
    return {"path_name": path_name, "is_param": True, "use_pickle": use_pickle, "tensor_meta": None}


def graph(target: str = "torch.ops.aten.linear.default", expression: str = "s34") -> bytes:
    nodes = [{"target": target, "inputs": [{"arg": {"as_int": 1}}]}]
    size = {"as_expr": {"expr_str": expression, "hint": None}}
    return json.dumps({"graph_module": {"graph": {"nodes": nodes, "sizes": [size]}}}).encode()


def harmless() -> Entries:
    return {
        "archive_format": b"pt2",
        "archive_version": b"0",
        "byteorder": b"little",
        ".data/version": b"3\n",
        "models/model.json": graph(),
        "data/weights/weight_0": bytes(16),
        "data/weights/model_weights_config.json": config(weight=weight()),
        "data/constants/model_constants_config.json": config(),
        "data/sample_inputs/model.pt": saved(((torch.zeros(2, 3),), {})),
    }


def write(entries: Entries, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"model/{name}", content)
    return path


def test_an_archive_of_tensors_and_a_graph_is_taken(tmp_path: Path) -> None:
    check_pt2(write(harmless(), tmp_path / "model.pt2"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "data/weights/model_weights_config.json",
            config(weight=weight(use_pickle=True)),
            "weight asks for pickle",
        ),
        (
            "data/constants/model_constants_config.json",
            config(c=weight("custom_obj_0")),
            "c asks for custom_obj_0",
        ),
        (
            "data/constants/model_constants_config.json",
            config(c=weight("opaque_obj_0")),
            "c asks for opaque_obj_0",
        ),
        (
            "data/weights/model_weights_config.json",
            config(w=weight("weight_0/../../x")),
            "w asks for weight_0/../../x",
        ),
        ("data/weights/model.pt", b"", "it holds data/weights/model.pt"),
        ("data/constants/custom_obj_0", b"", "it holds data/constants/custom_obj_0"),
        (
            "data/aotinductor/model/model.so",
            b"",
            "it holds data/aotinductor/model/model.so",
        ),
        ("models/other.json", graph(), "it holds models/other.json"),
        ("models/model.json", graph("torch.hub.os.system"), "its graph calls torch.hub.os.system"),
        ("models/model.json", graph("torch.load"), "its graph calls torch.load"),
        (
            "models/model.json",
            graph("torch.ops.aten.from_file.default"),
            "its graph calls torch.ops.aten.from_file.default",
        ),
        ("models/model.json", graph("#handler:op"), "its graph calls #handler:op"),
        (
            "models/model.json",
            graph(expression="__import__('os').getcwd()"),
            "its graph computes __import__",
        ),
        ("models/model.json", graph(expression="s34.__class__"), "its graph computes s34.__class__"),
        ("models/model.json", graph(expression="exec('1')"), "its graph computes exec"),
    ],
)
def test_what_asks_for_pickle_or_code_is_refused(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    path = write({**harmless(), name: content}, tmp_path / "model.pt2")

    with pytest.raises(ExportError, match=r"must be a \.pt2 that runs nothing but its graph") as raised:
        check_pt2(path)
    assert why in str(raised.value)


def test_example_inputs_that_would_run_code_are_refused_and_do_not(tmp_path: Path) -> None:
    hostile = saved(((Hostile(tmp_path / "hacked"),), {}))
    path = write({**harmless(), "data/sample_inputs/model.pt": hostile}, tmp_path / "model.pt2")

    with pytest.raises(ExportError, match="its example inputs ask for pickle"):
        check_pt2(path)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("damage", ["truncated", "no zip", "no graph", "no json", "missing"])
def test_a_damaged_archive_is_named(damage: str, tmp_path: Path) -> None:
    entries = harmless()
    if damage == "no graph":
        del entries["models/model.json"]
    if damage == "no json":
        entries["models/model.json"] = b"{"
    path = write(entries, tmp_path / "model.pt2")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    if damage == "no zip":
        path.write_bytes(b"nothing")
    if damage == "missing":
        path.unlink()

    with pytest.raises(ExportError, match=r"model\.pt2: must be a whole archive of torch\.export"):
        check_pt2(path)


def test_an_archive_within_which_python_sees_another_is_refused(tmp_path: Path) -> None:
    path = write(harmless(), tmp_path / "model.pt2")
    inner = write({"version": b"8.0", "serialized_state_dict.pt": b""}, tmp_path / "inner.zip")
    path.write_bytes(path.read_bytes() + inner.read_bytes())

    with pytest.raises(ExportError, match=r"whole archive|two ways|it holds"):
        check_pt2(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(harmless(), tmp_path / "model.pt2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/models/model.json", graph("torch.load"))

    with pytest.raises(ExportError, match="it can be read in two ways"):
        check_pt2(path)


def write_network(output: Path) -> None:
    """A whole folder with a model.pt2 that torch wrote."""
    network = describe(resolve_architecture({"depth": 8, "width": 2}), shape=(1, 8, 8), formats=("pt2",))

    def finish(folder: Path, compared: Compared) -> None:
        probe = describe_probe(compared.runs["torch"](make_probe(network)))
        (folder / "metrics.json").write_text(json.dumps({"probe": probe}))
        (folder / "MODEL_CARD.md").write_text("# card\n")
        (folder / "confusion.png").write_bytes(b"")

    with torch.no_grad():
        write_export(network, make_probe(network), output, finish)


def make_hostile(path: Path, made: Path) -> None:
    """Have a real .pt2 ask for pickle: who opens it makes a folder."""
    with zipfile.ZipFile(path) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    hostile = saved(((Hostile(made),), {}))
    write({**entries, "data/sample_inputs/model.pt": hostile}, path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_verify_refuses_a_folder_whose_pt2_asks_for_pickle_and_predict_does_not_look_at_it(
    tmp_path: Path,
) -> None:
    write_network(tmp_path / "net")
    Image.new("L", (8, 8)).save(tmp_path / "black.png")

    def ask(*arguments: str) -> Answer:
        return call(*arguments, cwd=tmp_path)

    whole = ask("verify", "net")
    make_hostile(tmp_path / "net/model.pt2", tmp_path / "hacked")
    sum_again(tmp_path / "net")
    refused, predicted = ask("verify", "net"), ask("predict", "net", "black.png")

    assert (whole.code, refused.code, predicted.code) == (0, 2, 0), (whole.err, predicted.err)
    assert refused.err == (
        "archsearch: net/model.pt2: must be a .pt2 that runs nothing but its graph "
        "(its example inputs ask for pickle). Do not open it.\n"
    )
    assert predicted.out.startswith("black.png: ")
    assert not (tmp_path / "hacked").exists()
    # the file would run its code, whatever else torch then has to say of it
    with suppress(RuntimeError, ValueError, AssertionError, TypeError, pickle.UnpicklingError):
        torch.export.load(tmp_path / "net/model.pt2")
    assert (tmp_path / "hacked").exists()
