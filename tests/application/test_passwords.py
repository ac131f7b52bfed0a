"""A password in a study's URLs is nowhere to be found after the study has run, nor while it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.command_line import call, start

SECRET = "s3cr3t"
STUDY = f"""\
# Before: {{uri: 'http://me:{SECRET}@elsewhere'}}
name: kept
architecture: {{layout: mlp, block: plain, width: 8}}
search: {{depth: [2, 3, 4]}}
trials: 2
training: {{epochs: 1}}
execution: {{executor: inline}}
tracking: {{uri: 'sqlite:///mlflow.db', optuna: 'postgresql+psycopg://me:{SECRET}@127.0.0.1:9/db'}}
"""


def command_lines(pid: int) -> set[str]:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    lines = set()
    for member in family:
        try:
            lines.add(" ".join(member.cmdline()))
        except psutil.Error:
            continue
    return lines


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes of a group")
def test_a_password_is_neither_written_nor_shown(tmp_path: Path) -> None:
    (tmp_path / "kept.yaml").write_text(STUDY)
    process = start("run", "kept.yaml", cwd=tmp_path)
    lines: set[str] = set()
    while process.poll() is None:
        lines |= command_lines(process.pid)
        time.sleep(0.05)
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert "Optuna's storage cannot be written" in out + err
    assert any("archsearch.tracking.mirror" in line for line in lines)
    assert any("archsearch.search.optuna_copying" in line for line in lines)
    assert SECRET not in "\n".join([out, err, *lines])
    (tmp_path / "kept.yaml").unlink()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"journal.log", "study.yaml", "mlflow.db"} <= {path.name for path in written}
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    assert "me:***@127.0.0.1:9/db" in (tmp_path / "runs/kept/study.yaml").read_text()


@pytest.mark.parametrize("command", ["sync", "ui"])
def test_what_needs_a_password_later_says_that_none_is_kept(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "kept"
    folder.mkdir(parents=True)
    (folder / "journal.log").touch()
    (folder / "study.yaml").write_text("name: kept\ntracking: {uri: 'http://me:***@host'}\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        answer = call(command, "kept", cwd=tmp_path)

    assert answer.code == 2
    assert "keeps no passwords" in answer.err
    assert "Give --uri, or set MLFLOW_TRACKING_URI." in answer.err
