"""`archsearch ui --dashboard optuna` serves what Optuna knows of studies, made from their journals."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from archsearch.journal import RunFolder
from archsearch.search.optuna_pages import serve_optuna_pages
from tests.application.conftest import RunStudy
from tests.application.test_pages import free_port, listening_addresses
from tests.command_line import start

pytestmark = pytest.mark.slow

installed = pytest.mark.skipif(
    importlib.util.find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed"
)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    """Status and JSON that the pages answer with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body.startswith((b"{", b"[")) else body


@installed
def test_the_pages_show_each_trial_of_the_search_as_it_ended(searched: RunStudy) -> None:
    port = free_port()
    with serve_optuna_pages([searched.run_folder], port) as address:
        assert address == f"http://127.0.0.1:{port}/dashboard/studies/0"
        _, listed = ask(port, "/api/studies")
        _, study = ask(port, "/api/studies/0")
    expected = [trial for trial in searched.history().trials.values() if trial.optuna is not None]

    assert [summary["study_name"] for summary in listed["study_summaries"]] == ["searched/all"]
    shown = {_attributes(trial)["trial"]: trial for trial in study["trials"]}
    assert set(shown) == {str(trial.number) for trial in expected}
    ends = {"complete": "Complete", "repeated": "Complete", "failed": "Fail"}
    for trial in expected:
        one = shown[str(trial.number)]
        assert one["state"] == ends.get(trial.outcome or "", "Pruned")
        assert _attributes(one)["network"] == trial.name
        if trial.objective_values:
            assert one["values"] == pytest.approx(list(trial.objective_values))
    assert len(Counter(trial["state"] for trial in study["trials"])) == 3


def _attributes(trial: dict[str, Any]) -> dict[str, str]:
    return {item["key"]: item["value"].strip('"') for item in trial["user_attrs"]}


@installed
def test_a_study_that_runs_is_shown_as_far_as_it_is(searched: RunStudy, tmp_path: Path) -> None:
    lines = searched.run_folder.journal.read_bytes().splitlines(keepends=True)
    told = [place for place, line in enumerate(lines) if b'"kind":"told"' in line]
    folder, port = RunFolder(tmp_path), free_port()
    folder.journal.write_bytes(b"".join(lines[: told[1] + 1]))
    with serve_optuna_pages([folder], port):
        _, first = ask(port, "/api/studies")
        folder.journal.write_bytes(b"".join(lines))
        _, last = ask(port, "/api/studies/0?after=0")

    assert len(first["study_summaries"]) == 1
    expected = [trial for trial in searched.history().trials.values() if trial.optuna is not None]
    assert len(last["trials"]) == len(expected) > 2


@installed
def test_the_pages_are_for_this_machine_and_only_to_be_read(searched: RunStudy) -> None:
    port = free_port()
    with serve_optuna_pages([searched.run_folder], port):
        assert ask(port, "/api/studies")[0] == 200
        assert ask(port, "/api/studies", Host="elsewhere.example")[0] == 403
        assert ask(port, "/api/studies/0", "DELETE")[0] == 403
        assert ask(port, "/api/studies", "POST")[0] == 403
        assert len(ask(port, "/api/studies")[1]["study_summaries"]) == 1


@installed
def test_the_command_serves_them_and_ctrl_c_ends_it(searched: RunStudy) -> None:
    port = free_port()
    arguments = ("ui", "--dashboard", "optuna", "--port", port, "--no-open")
    process = start(*arguments, cwd=searched.folder, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        assert re.findall(r"http://\S+", said) == [f"http://127.0.0.1:{port}/dashboard/studies/0"]
        assert b"<title>Optuna Dashboard</title>" in ask(port, "/dashboard")[1]
        assert listening_addresses([psutil.Process(process.pid)]) == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.endswith("Ended.\n")


@pytest.mark.usefixtures("own_signals")
def test_without_the_package_it_says_how_to_get_it(
    searched: RunStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    answer = searched.call("ui", "searched", "--dashboard", "optuna", "--no-open", "--port", free_port())

    assert (answer.code, answer.err) == (
        2,
        "archsearch: --dashboard optuna: needs the package optuna-dashboard, which is not installed. Install "
        "it with pip install 'archsearch[dashboard]', or leave --dashboard out: MLflow's pages show every "
        "study.\n",
    )


@pytest.mark.usefixtures("own_signals")
def test_a_sweep_is_nothing_that_optuna_knows(swept: RunStudy) -> None:
    answer = swept.call("ui", "swept", "--dashboard", "optuna", "--no-open")

    assert (answer.code, answer.err) == (
        2,
        "archsearch: STUDY: must have a `search`: Optuna has no part in a sweep, got swept. Leave "
        "--dashboard out: MLflow's pages show every study.\n",
    )


def test_it_has_no_store_of_mlflows(searched: RunStudy) -> None:
    answer = searched.call("ui", "--dashboard", "optuna", "--uri", searched.uri, "--no-open")

    assert answer.code == 2
    assert "--uri is MLflow's: --dashboard optuna reads the journals of run folders." in answer.err
