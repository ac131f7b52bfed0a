"""The journals of other studies are found by an index, read once, and passed over where they cannot be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from archsearch.journal import read_journal
from archsearch.search import other_studies
from archsearch.search.other_studies import INDEX_NAME, OtherStudies
from tests.search.test_conductor import SWEEP
from tests.search.test_taking_over import Neighbourhood


@pytest.fixture
def neighbourhood(tmp_path: Path) -> Neighbourhood:
    return Neighbourhood(tmp_path / "runs")


def test_others_that_cannot_be_read_are_passed_over(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    journal = neighbourhood.folder("first").journal.read_bytes()
    damaged = {
        "empty": b"",
        "noise": os.urandom(300),
        "altered": journal.replace(b'"kind":"trial"', b'"kind":"trail"', 1),
        "torn": journal[:-40],
        "deep": b"00000000 " + b"[" * 100_000 + b"\n\n",
    }
    for name, content in damaged.items():
        neighbourhood.folder(name).path.mkdir()
        neighbourhood.folder(name).journal.write_bytes(content)
    neighbourhood.folder("folder").journal.mkdir(parents=True)
    neighbourhood.folder("pipe").path.mkdir()
    os.mkfifo(neighbourhood.folder("pipe").journal)

    neighbourhood.run(SWEEP, "second")

    assert neighbourhood.executor.trained == []


def test_a_journal_is_read_again_only_when_it_has_changed(
    neighbourhood: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbourhood.run(SWEEP, "first")
    neighbourhood.run(SWEEP.replace("width: 8", "width: 4"), "other")
    read: list[str] = []

    def reading(path: Path) -> Any:
        read.append(path.parent.name)
        return read_journal(path)

    monkeypatch.setattr(other_studies, "read_journal", reading)
    folder = neighbourhood.folder("new")
    assert len(OtherStudies(folder).entries) == 2
    # the other one had read the first
    assert read == ["other"]
    read.clear()
    assert len(OtherStudies(folder).entries) == 2
    assert read == []
    neighbourhood.run(SWEEP.replace("seeds: 2", "seeds: 3"), "first", reuse=False)
    read.clear()
    (entry,) = (e for path, e in OtherStudies(folder).entries.items() if path.name == "first")
    assert (read, len(entry.trainings)) == (["first"], 12)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"version": 1, "studies": {"first": 3}}', '{"version": 1, "studies": []}', "{" * 9999],
)
def test_an_index_that_is_none_is_made_anew(content: str, neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    (neighbourhood.runs / INDEX_NAME).write_text(content)

    neighbourhood.run(SWEEP, "second")

    assert neighbourhood.executor.trained == []


def test_an_index_that_is_wrong_makes_no_result(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    assert OtherStudies(neighbourhood.folder("second")).entries
    index = neighbourhood.runs / INDEX_NAME
    content = json.loads(index.read_text())
    trainings = content["studies"]["first"]["trainings"]
    content["studies"]["first"]["trainings"] = {name: [0, 0] for name in trainings}
    index.write_text(json.dumps(content))

    second = neighbourhood.run(SWEEP, "second")

    assert len(neighbourhood.executor.trained) == 7
    assert [t.objective_values for t in second.trials.values()] == [
        t.objective_values for t in neighbourhood.run(SWEEP, "third", reuse=False).trials.values()
    ]


def test_studies_of_further_folders_are_looked_at_whatever_they_are_called(tmp_path: Path) -> None:
    here, there = Neighbourhood(tmp_path / "here"), Neighbourhood(tmp_path / "there")
    for place, name in ((here, "first"), (here, "second"), (there, "first")):
        place.run(SWEEP, name, reuse=False)
    own = here.folder("first")

    assert set(OtherStudies(own).entries) == {here.folder("second").path}
    # its own folder under another path is no further one
    further = [there.runs, tmp_path / "there" / ".." / "here"]
    found = OtherStudies(own, further).entries
    assert set(found) == {here.folder("second").path, there.folder("first").path}
    assert set(json.loads((there.runs / INDEX_NAME).read_text())["studies"]) == {"first"}
