"""`archsearch init`: the studies that ship with archsearch, where a person can run them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from archsearch.study import load_study
from tests.command_line import call

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "search_spaces"


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.*")}


@pytest.mark.parametrize("folder", [None, "studies", "new/place"])
def test_the_shipped_studies_and_their_schema_are_written(folder: str | None, tmp_path: Path) -> None:
    answer = call("init", *([folder] if folder else []), cwd=tmp_path)

    assert answer.code == 0
    assert contents(tmp_path / (folder or "search_spaces")) == contents(SHIPPED)
    assert f"  archsearch run {folder or 'search_spaces'}/resnet_space.yaml\n" in answer.out


def test_what_was_written_can_be_run_and_names_the_schema_beside_it(tmp_path: Path) -> None:
    written = call("init", "studies", "--json", cwd=tmp_path).json

    assert len(written["studies"]) == 13
    for study in written["studies"]:
        path = tmp_path / study["file"]
        named = path.read_text().splitlines()[0].split("$schema=")[1].split()[0]
        assert (path.parent / named).is_file()
        assert study["question"].endswith(".")
    assert load_study(tmp_path / "studies" / "resnet_space.yaml").name == "resnet-space"


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path) -> None:
    mine = tmp_path / "search_spaces" / "resnet_space.yaml"
    mine.parent.mkdir()
    mine.write_text("name: mine\n")

    answer = call("init", cwd=tmp_path)

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "search_spaces: holds resnet_space.yaml, and nothing is overwritten." in answer.err
    assert contents(mine.parent) == {"resnet_space.yaml": "name: mine\n"}


def test_a_file_in_the_place_of_the_folder_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "studies").write_text("")

    answer = call("init", "studies", cwd=tmp_path)

    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "studies: must be writable" in answer.err


@pytest.mark.slow
def test_the_wheel_holds_them_once_and_writes_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(list(map(str, build)), check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        folder = "archsearch/search_spaces"
        shipped = [name for name in archive.namelist() if name.startswith(f"{folder}/")]
        archive.extractall(tmp_path / "installed")

    alone = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-m", "archsearch", "init", "studies"]
    subprocess.run(command, check=True, cwd=tmp_path, env=alone, stdout=subprocess.DEVNULL)

    assert sorted(shipped) == sorted(f"{folder}/{name}" for name in contents(SHIPPED))
    assert contents(tmp_path / "studies") == contents(SHIPPED)
