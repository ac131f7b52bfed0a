"""`archsearch status`: how far a study is, while it runs and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.journal import RunFolder, RunFolderLock
from tests.cli.studies import SEARCHED, SWEPT, run
from tests.command_line import call


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A sweep that was killed in the third of its six cells."""
    return run(SWEPT, tmp_path_factory.mktemp("status") / "runs", until=47)


def test_of_a_study_that_runs_it_says_what_runs_and_what_is_left(killed: RunFolder) -> None:
    place = killed.path.parents[1]
    with RunFolderLock(killed.path):
        before = files(place)
        status = call("status", "depth", "--json", cwd=place).json
        out = call("status", "depth", cwd=place).out

        assert files(place) == before
    progress = status["progress"]
    assert status["state"] == "running"
    assert status["trials"] == {"complete": 2, "unfinished": 1}
    assert 0.2 < progress["done_frac"] < 0.8
    assert progress["seconds_left"] > 0
    assert progress["trials_in_all"] == 6
    (running,) = progress["running"]
    assert (running["trial"], running["epochs"]) == (2, 4)
    assert "2 of 6 trials ended: 2 complete" in out
    assert "trial   2  " in out
    assert "best so far: validation accuracy 92.90%, trial 1 residual-20" in out
    assert "Running: process " in out


def test_of_a_study_that_was_killed_it_says_what_it_would_still_take(killed: RunFolder) -> None:
    place = killed.path.parents[1]

    status = call("status", "depth", "--json", cwd=place).json
    out = call("status", "depth", cwd=place).out

    assert status["state"] == "interrupted"
    assert status["progress"]["running"] == []
    assert "trial   2  " not in out
    assert "Interrupted: ended without a word, as a process that is killed." in out
    assert "goes on from there, with " in out
    assert out.rstrip().endswith(" left.")


def test_of_a_study_that_has_ended_it_says_why(tmp_path: Path) -> None:
    run(SEARCHED, tmp_path / "runs")

    status = call("status", "rates", "--json", cwd=tmp_path).json
    out = call("status", "rates", cwd=tmp_path).out

    assert (status["state"], status["progress"]["done_frac"]) == ("finished", 1.0)
    assert "100%" in out
    assert "left" not in out
    assert "reading" not in out
    assert out.splitlines()[-1] == "Finished: every trial asked for has ended."


def test_of_a_study_whose_plugin_is_not_installed_here_it_counts_the_trials(tmp_path: Path) -> None:
    run(SWEPT, tmp_path / "runs", until=47, said=f"{SWEPT}plugins: [not-installed]\n")

    status = call("status", "depth", "--json", cwd=tmp_path).json
    out = call("status", "depth", cwd=tmp_path).out

    assert (status["trials"], status["progress"]) == ({"complete": 2, "unfinished": 1}, None)
    assert out.startswith("depth  2 complete, 1 unfinished\nInterrupted: ")


def test_an_unknown_study_is_said_in_one_line(killed: RunFolder) -> None:
    answer = call("status", "deepth", cwd=killed.path.parents[1])

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "Studies in runs: depth." in answer.err
