"""Help, the schema and the checking of a study come at once: nothing heavy is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cli import _COMMANDS
from archsearch.study import study_schema
from tests.cli.studies import SWEPT, run
from tests.command_line import call

HEAVY = (
    "torch",
    "pytorch_lightning",
    "lightning_fabric",
    "torchmetrics",
    "optuna",
    "mlflow",
    "pandas",
    "scipy",
)

IMPORTED = """
import sys
from unittest import mock
from archsearch.cli import main
for arguments in {calls}:
    with mock.patch.object(sys, "argv", ["archsearch", *arguments]):
        try:
            main()
        except SystemExit as end:
            assert end.code in ({code}, None), end.code
print("imported:", [name for name in {heavy} if name in sys.modules])
"""


def imported_by(calls: list[list[str]], cwd: Path, code: int = 0) -> str:
    script = IMPORTED.format(calls=calls, code=code, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_help_and_schema_import_nothing_heavy(tmp_path: Path) -> None:
    calls = [["--help"], ["--version"], ["schema"], *([name, "--help"] for name in _COMMANDS)]

    assert imported_by(calls, tmp_path) == "imported: []"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_checking_a_study_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: s\nsearch: {depth: [8, 14], block: [plain, dense]}\ntrials: 3\nsampler: tpe\nseeds: [0]\n"
    )

    # A seed that the search has used is found last, when all else has been checked.
    assert imported_by([[command, "s.yaml"]], tmp_path, code=2) == "imported: []"


def test_looking_at_studies_imports_nothing_heavy(tmp_path: Path) -> None:
    run(SWEPT, tmp_path / "runs", until=47)
    calls = [["list"], ["status", "depth"], ["show", "depth", "--trial", "0"], ["init"]]

    assert imported_by(calls, tmp_path) == "imported: []"
    calls = [["show", "depth"], ["compare", "depth:0", "depth:1"]]
    assert imported_by(calls, tmp_path) == "imported: ['scipy']"


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_an_example(name: str, tmp_path: Path) -> None:
    answer = call(name, "--help", cwd=tmp_path)

    assert answer.code == 0
    assert f"Example: archsearch {name}" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_every_command_is_listed_with_one_line(tmp_path: Path) -> None:
    out = call("--help", cwd=tmp_path).out

    for name, said in _COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, said] for line in out.splitlines())


def test_the_schema_of_studies_is_printed_as_json(tmp_path: Path) -> None:
    assert call("schema", cwd=tmp_path).json == json.loads(json.dumps(study_schema()))
