"""Every command of the pages is run, or stands here with the reason why it is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from experiments.claims import CLAIMS
from tests.docs.pages import PAGES, ROOT, CodeBlock, name_of, read_blocks, run_lines
from tests.starting import Starter

LANGUAGES = {"bash", "dockerfile", "python", "text", "toml", "yaml"}

# By page: how a command begins, and why it is not run here.
NOT_RUN = {
    "CONTRIBUTING.md": {
        "make test": "this runs in it",
        "make lint": "run by .ci/run",
        "make docs": "run by .ci/run",
    },
    "README.md": {
        "make test": "this runs in it",
        "python3 -m venv": "run by test_installing.py",
        ".venv/bin/pip install": "run by test_installing.py",
        "docker": "needs Docker; tests/docs/test_installing.py reads the recipe",
    },
    "docs/cluster.md": {
        "pip install --constraint": "tests are not to change what is installed",
        "ray start": "leaves processes behind; tests/execution/test_ray_study.py has a cluster of its own",
        "ray status": "needs the cluster",
        "#!/bin/bash\n#SBATCH": "needs SLURM",
        "helm": "needs Kubernetes",
        "kubectl": "needs Kubernetes",
        "head=$(kubectl": "needs Kubernetes",
        "createdb": "needs a server of PostgreSQL under that name",
    },
    "docs/export.md": {
        "mlflow models serve": "serves until Ctrl-C; run by tests/application/test_registering.py",
        "curl": "asks the server; an image has more numbers than the page shows",
    },
    "docs/first_ten_minutes.md": {
        "archsearch ui": "serves until Ctrl-C; run by tests/application/test_pages.py",
    },
    "docs/fuzzing.md": {
        "make fuzz": "takes an hour; what was found is tried by tests/fuzzing",
        "python -m tests.fuzzing": "takes ten minutes, and may write into the repository",
    },
    "docs/mlflow_server.md": {
        "archsearch ui": "serves until Ctrl-C; run by tests/application/test_pages.py",
        "pip install": "of the server's machine, or installed by make",
        "mlflow server": "serves until it is stopped; run with SQLite by tests/tracking/test_login.py",
        "curl": "asks that server; run by tests/tracking/test_login.py",
        "archsearch run": "needs that server",
    },
    "docs/reference/command_line.md": {
        "archsearch ui": "serves until Ctrl-C; run by tests/application/test_pages.py",
    },
    "experiments/README.md": {
        "python -m experiments.make": "takes up to an hour; run small by tests/experiments/test_make.py",
        "tar czf": "packs what another machine has made",
        "pip install": "used as installed by test_make.py",
    },
    **{
        f"experiments/{name}/README.md": {
            "python -m experiments.make": "takes up to an hour; run small by tests/experiments/test_make.py"
        }
        for name in CLAIMS
    },
}
# Packages are installed where tests are not disturbed by them; the block is used by test_make.py.
NOT_RUN["experiments/01_more_layers/README.md"]["pip install"] = "used as installed by test_make.py"

# What is less here, so that it takes seconds: in studies, in commands.
SMALLER_STUDY = {
    r"^data: digits$": "data: {name: digits, train_limit: 128}",
    r"\bepochs: \d+": "epochs: 1",
    r"^trials: \d+": "trials: 4",
    r"^seeds: \d+\b": "seeds: 2",
}
INLINE = "\nexecution: {executor: inline}\n"
SMALLER_COMMAND = {
    "--epochs 30": "--epochs 1",
    "archsearch identity": "archsearch identity --steps 20 --seeds 1",
    "benchmarks.verdict_power": "benchmarks.verdict_power --studies 3",
}

# What following a page has printed in the end.
PRINTED = {
    "README.md": [r"60,192,808"],
    "docs/first_ten_minutes.md": [r"block=plain.*validation error", r"my_images/train/7/7\.png: \d"],
    "docs/own_block.md": [r"separable-20"],
    "docs/own_data.md": [r"1 complete.*1 complete"],
    "docs/own_metric.md": [r"val_worst_class"],
    "docs/reproducibility.md": [r"identical"],
    "docs/reference/command_line.md": [r"60,192,808"],
    "docs/terminal.md": [r"degradation +finished"],
}

STUDY = """
name: study
data: {name: digits, train_limit: 128}
architecture: {width: 4, depth: 8}
training: {epochs: 1, batch_size: 64}
"""

Shell = Callable[[CodeBlock, str], str]


def list_commands(block: CodeBlock) -> list[str]:
    """What a block has the shell do, a command an item; a script is one."""
    if block.language != "bash":
        return []
    if block.text.startswith("#!"):
        return [block.text]
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


def without_comment(command: str) -> str:
    return command.partition(" #")[0].strip()


def is_run(command: str, page: str) -> bool:
    return not command.startswith(tuple(NOT_RUN.get(page, ())))


def has_code(page: Path) -> bool:
    """Whether a page has a command that is run, or lines of Python that are no file."""
    blocks = read_blocks(page)
    python = any(block.language == "python" and not block.title for block in blocks)
    return python or any(is_run(line, name_of(page)) for block in blocks for line in list_commands(block))


FOLLOWED = [page for page in PAGES if has_code(page)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is_so_that_no_command_is_passed_over(page: Path) -> None:
    for block in read_blocks(page):
        assert block.language in LANGUAGES, block.place
        if block.language == "bash":
            checked = subprocess.run(
                ["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, f"{block.place}\n{checked.stderr}"


def test_what_is_not_run_stands_in_its_page() -> None:
    for page, reasons in NOT_RUN.items():
        found = [line for block in read_blocks(ROOT / page) for line in list_commands(block)]
        for beginning in reasons:
            assert any(line.startswith(beginning) for line in found), f"{page}: {beginning}"
    assert set(PRINTED) <= {name_of(page) for page in FOLLOWED}


def test_a_new_command_would_be_run() -> None:
    new = CodeBlock("bash", "", "archsearch ui study\nmake test \\\n  all\n\nscp a b\n", "README.md:1")

    assert [line for line in list_commands(new) if is_run(line, "README.md")] == [
        "archsearch ui study",
        "scp a b",
    ]


@pytest.fixture(scope="module")
def shell(checkout: Path) -> Iterator[Shell]:
    """Runs lines of a block in the checkout, as a person who follows the pages has it.

    What they start of `archsearch` and of Python is forked from a process that has imported all.
    """
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(checkout)}))
    packages.mkdir(parents=True)
    environment = {
        **os.environ,
        "HOME": str(checkout),
        "PATH": os.pathsep.join([str(checkout / ".venv" / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)]),
        # A package of a page goes there, and not into the environment of the tests.
        "PIP_PREFIX": str(checkout),
    }

    def run(block: CodeBlock, text: str) -> str:
        command = ["python", "-c"] if block.language == "python" else ["bash", "-e", "-c"]
        return run_lines(["env", *command, text], checkout, environment, block.place)

    with Starter(environment) as starter:
        for program in starter.programs:
            (checkout / ".venv" / "bin" / program.name).symlink_to(program)
        yield run


def shrink(study: str) -> str:
    """A study that takes seconds."""
    for old, new in SMALLER_STUDY.items():
        study = re.sub(old, new, study, flags=re.MULTILINE)
    # That of the quickstart, and one of these tests, have workers.
    return study if re.search("^execution:|^name: resnet-space", study, re.MULTILINE) else study + INLINE


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A checkout with small studies and what `make` has installed, which is this environment."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "search_spaces", folder / "search_spaces")
    for path in (folder / "search_spaces").rglob("*.yaml"):
        path.write_text(shrink(path.read_text()))
    (folder / ".venv" / "bin").mkdir(parents=True)
    for entry in [*Path(sys.prefix).iterdir(), *Path(sys.prefix, "bin").iterdir()]:
        if entry.name not in ("bin", "archsearch", "python"):
            (folder / ".venv" / entry.relative_to(sys.prefix)).symlink_to(entry)
    (folder / ".venv" / "installed").unlink(missing_ok=True)
    (folder / ".venv" / "installed").touch()
    shutil.copy(empty_store, folder / "mlflow.db")
    (folder / "study.yaml").write_text(STUDY)
    digits = load_digits()
    seven = digits.images[digits.target == 7][0]
    Image.fromarray((seven * 255 / 16).astype("uint8")).save(folder / "seven.png")
    return folder


@pytest.fixture(scope="module")
def prepared(shell: Shell) -> None:
    """What the pages presuppose: the quickstart, and the study of the first exercise."""
    block = CodeBlock("bash", "", "", "prepared")
    shell(block, "make quickstart\narchsearch run search_spaces/degradation.yaml\narchsearch run study.yaml")


@pytest.fixture(scope="module")
def followed() -> set[str]:
    """Commands of earlier pages, which are not run again."""
    return set()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_following_a_page_to_the_letter_works(
    page: Path, shell: Shell, checkout: Path, followed: set[str]
) -> None:
    blocks = read_blocks(page)
    for block in blocks:
        if block.title:
            (checkout / block.title).parent.mkdir(exist_ok=True)
            (checkout / block.title).write_text(
                shrink(block.text) if block.language == "yaml" else block.text
            )

    printed = ""
    for block in blocks:
        lines = [line for line in list_commands(block) if is_run(line, name_of(page))]
        text = "\n".join(line for line in lines if without_comment(line) not in followed)
        followed |= {
            line for line in map(without_comment, lines) if line.startswith(("archsearch ", "make "))
        }
        for old, new in SMALLER_COMMAND.items():
            text = text.replace(old, new)
        printed += shell(block, text) if text else ""
    python = [block for block in blocks if block.language == "python" and not block.title]
    if python:
        shell(python[0], "\n".join(block.text for block in python))

    for expected in PRINTED.get(name_of(page), ()):
        assert re.search(expected, printed, re.DOTALL), printed
