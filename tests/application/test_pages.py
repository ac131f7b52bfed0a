"""`archsearch ui` serves a study's page to this machine and leaves nothing behind."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.application.conftest import RunStudy
from tests.command_line import call, call_apart, start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening_addresses(family: list[psutil.Process]) -> set[str]:
    sockets = [one for member in family for one in member.net_connections() if one.status == "LISTEN"]
    return {one.laddr.ip for one in sockets}


@dataclass(frozen=True)
class Browser:
    """One that notes what it is sent to instead of showing it.

    Attributes:
        environment: In which commands find it.
    """

    folder: Path
    environment: dict[str, str]

    def opened(self) -> str:
        """The address that it was sent to; waits for one."""
        deadline, note = time.monotonic() + 10, self.folder / "opened"
        while not note.exists():
            assert time.monotonic() < deadline, "no browser was opened"
            time.sleep(0.05)
        return note.read_text()


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    # Renamed, so that nobody reads half an address.
    program.write_text(
        f"#!/bin/sh\nprintf %s \"$1\" > '{tmp_path}/part' && mv '{tmp_path}/part' '{tmp_path}/opened'\n"
    )
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return Browser(tmp_path, {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"})


def status_of(port: int, **headers: str) -> int:
    """What a program that asks for an experiment to be made is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"name": f"made {len(headers)} {time.monotonic()}"})
    sent = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/ajax-api/2.0/mlflow/experiments/create", body, sent)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_serves_the_studys_page_opens_it_and_ends_without_a_process_left(
    way: int, searched: RunStudy, browser: Browser
) -> None:
    port = free_port()
    process = start("ui", "searched", "--port", port, cwd=searched.folder, env=browser.environment)
    try:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        (address,) = re.findall(r"http://\S+", said)
        assert address.startswith(f"http://127.0.0.1:{port}/#/experiments/1/runs?")
        assert "workflowType=machine_learning" in address
        assert browser.opened() == address
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert b"<title>MLflow</title>" in page.read()
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        assert listening_addresses([psutil.Process(process.pid), *family]) == {"127.0.0.1"}
        assert status_of(port) == 200
        # A page of elsewhere, or a name of elsewhere that leads here, gets nothing.
        assert status_of(port, Host="elsewhere.example") == 403
        assert status_of(port, Origin="http://elsewhere.example") == 403
        process.send_signal(way)
        out, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("Ended.\n")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(member.is_running() for member in family):
        time.sleep(0.1)
    assert [member for member in family if member.is_running()] == []


def test_the_pages_of_a_server_are_opened_without_its_password(tmp_path: Path, browser: Browser) -> None:
    environment = {**browser.environment, "MLFLOW_TRACKING_URI": "https://me:s3cr3t@mlflow.example.org/team"}
    answer = call_apart("ui", cwd=tmp_path, env=environment)

    # It does not wait for Ctrl-C: nothing was started that would have to end.
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1:] == [
        "https://mlflow.example.org/team",
        "The server's own page: whoever may use that server reaches it, and it asks for the login.",
    ]
    assert browser.opened() == "https://mlflow.example.org/team"


@pytest.mark.usefixtures("own_signals")
def test_a_port_that_is_taken_is_said(searched: RunStudy) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = call("ui", "--port", port, "--no-open", cwd=searched.folder)

    assert answer.code == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in answer.err
    assert "Choose another with --port." in answer.err
