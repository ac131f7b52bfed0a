"""`archsearch report` draws and lists what the journal holds."""

from __future__ import annotations

import csv
import re
import statistics
from pathlib import Path

import pytest
from PIL import Image

from tests.application.conftest import RunStudy
from tests.command_line import call

pytestmark = pytest.mark.slow


def test_the_table_holds_each_network_with_the_mean_of_its_seeds(swept: RunStudy) -> None:
    answer = swept.call("report", "swept", "--json")
    assert answer.code == 0, answer.err
    with (swept.folder / answer.json["table"]).open(newline="") as file:
        rows = {int(row["trial"]): row for row in csv.DictReader(file)}
    trials = swept.history().trials

    assert set(rows) == set(trials)
    for number, row in rows.items():
        errors = [r.metrics["val_error"] for r in trials[number].replicates.values()]
        tests = [r.test["test_error"] for r in trials[number].replicates.values()]
        assert float(row["val_error"]) == pytest.approx(statistics.mean(errors))
        assert float(row["val_error_std"]) == pytest.approx(statistics.stdev(errors))
        assert float(row["test_error"]) == pytest.approx(statistics.mean(tests))
        assert int(row["depth"]) == trials[number].architecture["depth"]
        assert int(row["parameters"]) == trials[number].parameters
        assert row["seeds"] == "2"


def test_the_picture_is_a_png_and_both_are_named(swept: RunStudy) -> None:
    out = swept.call("report", "swept").out

    assert "Picture: runs/swept/report/depth_curve.png\nTable:   runs/swept/report/depth_curve.csv\n" in out
    with Image.open(swept.run_folder.report / "depth_curve.png") as picture:
        assert picture.format == "PNG"


def test_people_see_curves_with_their_depths(swept: RunStudy) -> None:
    lines = [line.split() for line in swept.call("report", "swept").out.splitlines()]

    shown = [(line[0], line[1]) for line in lines if line and line[0].startswith("block=")]
    assert shown == [("block=plain", "8"), ("block=plain", "14"), ("block=dense", "7"), ("block=dense", "13")]


def test_a_study_without_a_finished_trial_has_no_report(tmp_path: Path, swept: RunStudy) -> None:
    folder = tmp_path / "runs" / "swept"
    folder.mkdir(parents=True)
    first = swept.run_folder.journal.read_bytes().splitlines(keepends=True)[0]
    (folder / "journal.log").write_bytes(first)

    answer = call("report", "swept", cwd=tmp_path)

    assert (answer.code, answer.err) == (
        2,
        "archsearch: STUDY: must have a finished trial, got swept. Run it first.\n",
    )


def test_what_mlflow_shows_of_it_has_its_pictures_in_a_size_that_leaves_room(swept: RunStudy) -> None:
    swept.call("report", "swept")
    folder = swept.run_folder.report
    shown = re.findall(r"!\[[^]]+\]\((\S+)\)", (folder / "conclusion.md").read_text())

    # Another test may have left the picture of a lesion, which is no part of the report.
    pictures = [path for path in folder.glob("*.png") if path.stem != "lesion"]
    assert shown == [f"small/{path.name}" for path in sorted(pictures, key=_drawn)]
    for name in shown:
        with Image.open(folder / name) as picture:
            assert picture.width < 700


def _drawn(picture: Path) -> int:
    return ["depth_curve", "costs", "learning_curves", "profiles"].index(picture.stem)
