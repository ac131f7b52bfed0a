"""`archsearch list`: every study of a folder, whatever state it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.journal import RunFolderLock
from tests.cli.studies import SEARCHED, SWEPT, run
from tests.command_line import call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study that has ended, one that was killed."""
    folder = tmp_path_factory.mktemp("list")
    run(SWEPT, folder / "runs")
    run(SEARCHED, folder / "runs", until=12)
    return folder


def test_each_study_is_listed_with_its_state_and_its_trials(place: Path) -> None:
    found = {each["study"]: each for each in call("list", "--json", cwd=place).json}

    depth, rates = found["depth"], found["rates"]
    assert list(found) == ["rates", "depth"]
    assert (depth["state"], depth["why"]) == ("finished", "every trial asked for has ended")
    assert depth["trials"] == {"complete": 6}
    # 0.95 less 8 for its depth and 1 for the mean of its seeds, in thousandths
    assert depth["best"]["values"]["val_accuracy"] == pytest.approx(0.941)
    assert depth["best"]["network"].startswith("residual-8")
    assert (rates["state"], rates["trials"]) == ("interrupted", {"complete": 1, "unfinished": 1})
    assert "killed" in rates["why"]
    for study in (depth, rates):
        assert study["began"] <= study["heard"]
        size = sum(path.stat().st_size for path in (place / "runs" / study["study"]).rglob("*"))
        assert study["disk_mib"] == pytest.approx(size / 2**20, rel=0.05)


def test_people_get_a_table_and_why_a_study_has_not_ended(place: Path) -> None:
    out = call("list", cwd=place).out

    header, rates, depth, *rest = out.splitlines()
    assert header.split()[:4] == ["study", "state", "trials", "best"]
    assert rates.split()[:6] == ["rates", "interrupted", "1", "complete,", "1", "unfinished"]
    assert depth.split()[:5] == ["depth", "finished", "6", "complete", "94.10%"]
    assert any(line.startswith("rates was interrupted: ended without a word") for line in rest)
    assert "\x1b" not in out


def test_a_study_that_somebody_holds_is_running(place: Path) -> None:
    with RunFolderLock(place / "runs" / "rates"):
        found = {each["study"]: each for each in call("list", "--json", cwd=place).json}

    assert found["rates"]["state"] == "running"
    assert found["rates"]["why"].startswith("process ")
    assert found["depth"]["state"] == "finished"


def test_a_damaged_journal_is_said_and_the_others_are_listed(place: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run(SWEPT, runs)
    (runs / "broken").mkdir()
    lines = (place / "runs" / "rates" / "journal.log").read_bytes().splitlines(keepends=True)
    (runs / "broken" / "journal.log").write_bytes(b"".join([*lines[:2], *lines[3:]]))

    answer = call("list", cwd=tmp_path)

    assert answer.code == 0
    assert "broken cannot be read: runs/broken/journal.log:3: record 3 was expected" in answer.out
    assert "depth" in answer.out


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    answer = call("list", cwd=tmp_path)

    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "runs: must be a folder in which studies were run." in answer.err


def test_a_folder_without_studies_has_none(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()

    assert call("list", cwd=tmp_path).out == "No study was run in runs yet.\n"
    assert call("list", "--json", cwd=tmp_path).json == []
