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

import psutil
import pytest

from tests.application.conftest import RunStudy
from tests.command_line import call, start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening_addresses(family: list[psutil.Process]) -> set[str]:
    sockets = [one for member in family for one in member.net_connections() if one.status == "LISTEN"]
    return {one.laddr.ip for one in sockets}


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
def test_it_serves_the_studys_page_and_ends_without_a_process_left(way: int, searched: RunStudy) -> None:
    port = free_port()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    arguments = ("ui", "searched", "--port", port, "--no-open")
    process = start(*arguments, cwd=searched.folder, env=environment)
    try:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        (address,) = re.findall(r"http://\S+", said)
        assert address.startswith(f"http://127.0.0.1:{port}/#/experiments/1/runs?")
        assert "workflowType=machine_learning" in address
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
