"""Installing, as the README and the Dockerfile do it, and from the wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read_blocks, run_lines
from tests.docs.test_commands import shrink

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with what they are given."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [(name, given) for name, _, given in (line.partition(" ") for line in joined.splitlines() if line)]


INSTRUCTIONS = read_instructions()
COPIED = [name for kind, given in INSTRUCTIONS if kind == "COPY" for name in given.split()[:-1]]
RUN = [given for kind, given in INSTRUCTIONS if kind == "RUN"]


def shell(text: str, folder: Path, **variables: str) -> str:
    """Run lines of a shell, to which nothing of these tests' environment is known."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return run_lines(["bash", "-e", "-c", text], folder, {**kept, **variables}, text)


def test_the_image_begins_with_a_python_that_is_supported() -> None:
    (base,) = [given for kind, given in INSTRUCTIONS if kind == "FROM"]

    version = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", base)
    assert version is not None, base
    assert PROJECT["requires-python"] == f">={version[1]}"


@pytest.mark.parametrize("name", COPIED)
def test_what_is_copied_into_the_image_is_there_and_not_ignored(name: str) -> None:
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().split():
        if fnmatch(name, line.removeprefix("!")):
            ignored = not line.startswith("!")

    assert (ROOT / name).exists()
    assert not ignored


@pytest.mark.parametrize(
    ("device", "index"), [("cpu", "https://download.pytorch.org/whl/cpu"), ("gpu", "https://pypi.org/simple")]
)
def test_the_image_takes_torch_from_the_index_of_its_device(device: str, index: str, tmp_path: Path) -> None:
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    pip.chmod(0o755)

    asked = shell(RUN[0], tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin", DEVICE=device).splitlines()

    assert asked[asked.index("--index-url") + 1] == index
    assert asked[asked.index("--constraint") + 1] in COPIED
    assert asked[-1] == "torch"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone of the repository holds, installed by the lines of the README."""
    folder = tmp_path_factory.mktemp("clone") / "archsearch"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (block,) = [block for block in read_blocks(ROOT / "README.md") if "-m venv" in block.text]
    # Compiling all modules of all packages ahead takes a minute, and a few are imported.
    said = shell(block.text, folder, PIP_COMPILE="0")
    assert "60,192,808" in said
    return folder


@pytest.fixture(scope="module")
def installed(checkout: Path) -> Path:
    """Scripts of that environment, in which the wheel has taken the place of the checkout."""
    scripts = checkout / ".venv" / "bin"
    shell(f"{sys.executable} -m build --outdir dist", checkout)
    (wheel,) = (checkout / "dist").glob("*.whl")
    shell(f"{scripts}/pip install --quiet --force-reinstall --no-deps {wheel}", checkout)
    shell(f"{scripts}/pip check", checkout)
    return scripts


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_wheel_runs_the_quickstart_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    search = f"{installed}:/usr/bin:/bin"

    where = shell("python -c 'import archsearch; print(archsearch.__file__)'", tmp_path, PATH=search)
    shell("archsearch init studies", tmp_path, PATH=search)
    study = tmp_path / "studies" / "resnet_space.yaml"
    study.write_text(shrink(study.read_text()))
    said = shell(
        "archsearch run studies/resnet_space.yaml\n"
        "archsearch export resnet-space --output net\n"
        "archsearch verify net",
        tmp_path,
        PATH=search,
    )

    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "block=residual" in said
    assert (tmp_path / "net" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_image_copies_is_enough_to_install_it(installed: Path, tmp_path: Path) -> None:
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    search = f"{installed}:/usr/bin:/bin"

    shell(RUN[1], tmp_path, PATH=search)

    (tmp_path / "work").mkdir()
    given = dict(INSTRUCTIONS)
    command = " ".join(json.loads(given["ENTRYPOINT"]) + json.loads(given["CMD"]))
    assert "archsearch [OPTIONS] COMMAND" in shell(command, tmp_path / "work", PATH=search)
    shell("archsearch init\npython -c 'import onnxruntime, psycopg'", tmp_path / "work", PATH=search)
