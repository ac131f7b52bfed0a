"""An MLflow server with a login, made and used as its page says."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from archsearch.errors import TrackingError
from archsearch.tracking import sync
from tests.docs.pages import ROOT, read_blocks
from tests.services import free_port
from tests.tracking.studies import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("flask_wtf") is None, reason="mlflow[auth] is not installed"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
PAGE = ROOT / "docs" / "mlflow_server.md"
ADMIN, ADA = "of-the-admin-1", "of-ada-1234567"
LONGEST_START_S = 240


def command_of_the_page(beginning: str, replaced: dict[str, str]) -> str:
    """The one command of the page that begins so, with other addresses and passwords."""
    (command,) = [
        command
        for block in read_blocks(PAGE)
        for command in block.text.replace("\\\n", " ").splitlines()
        if command.startswith(beginning)
    ]
    for old, new in replaced.items():
        assert old in command, f"{command} has no {old}"
        command = command.replace(old, new)
    return command


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of the server that the page says how to start, with SQLite in place of PostgreSQL."""
    port = free_port()
    command = command_of_the_page(
        "mlflow server",
        {
            "--port 5000": f"--port {port} --workers 1",
            "mlflow.example.org": f"127.0.0.1:{port}",
            "postgresql+psycopg://mlflow@db.example.org/mlflow": "sqlite:///server.db",
            "/srv/mlflow": str(tmp_path / "artefacts"),
        },
    )
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-this-test",
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_START_S
    while True:
        assert process.poll() is None, "MLflow's server ended"
        assert time.monotonic() < deadline, "MLflow's server does not answer"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)


def test_a_study_is_written_with_the_login_of_a_user_and_not_without(
    server: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(folder).session().trial(0).started(0).epoch(0, 0, 0.5)
    study.replicate(0, val_error=0.1).told(0, value=0.9, val_error=0.1).journal.close()
    create_user = command_of_the_page(
        "curl",
        {
            "https://mlflow.example.org": server,
            "--user admin": f"--user admin:{ADMIN}",
            '"password": "..."': f'"password": "{ADA}"',
        },
    )
    created = subprocess.run(["bash", "-c", create_user], capture_output=True, text=True, check=False)
    assert created.returncode == 0, created.stderr

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-guess")
    with pytest.raises(TrackingError, match="401"):
        sync(folder, server)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADA)
    status = sync(folder, server)

    runs = MlflowClient(server).search_runs([status.experiment_id])
    assert sorted(run.data.tags["archsearch.kind"] for run in runs) == ["study", "trial"]
