"""`archsearch compare`: settings that differ, errors with their intervals and tests, cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from tests.cli.studies import SEARCHED, SWEPT, run
from tests.command_line import call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    run(SWEPT, folder / "runs")
    run(SEARCHED, folder / "runs")
    run(SWEPT.replace("name: depth", "name: longer").replace("epochs: 4", "epochs: 8"), folder / "runs")
    return folder


def trial_of(block: str, depth: int, place: Path) -> int:
    cells = call("show", "depth", "--json", cwd=place).json["cells"]
    (number,) = [c["best"]["trial"] for c in cells if c["cell"] == f"block={block} depth={depth}"]
    return number


def test_two_trials_differ_in_their_settings_and_their_errors(place: Path) -> None:
    plain, residual = (trial_of(block, 20, place) for block in ("plain", "residual"))

    found = call("compare", f"depth:{plain}", f"depth:{residual}", "--json", cwd=place).json

    assert found["differing"] == {
        "block": ["plain", "residual"],
        "shortcut": [None, "pad"],
        "drop_path": [None, "0"],
    }
    one, other = found["subjects"]
    # 0.95 - 20/50 and 0.95 - 20/1000, less the seeds 0, 1 and 2 in thousandths
    errors = [[0.45, 0.451, 0.452], [0.07, 0.071, 0.072]]
    for subject, values in zip((one, other), errors, strict=True):
        known = stats.ttest_1samp(values, 0).confidence_interval()
        assert subject["errors"]["val_error"]["mean"] == pytest.approx(sum(values) / 3)
        assert subject["errors"]["val_error"]["low"] == pytest.approx(known.low)
        assert subject["errors"]["val_error"]["high"] == pytest.approx(known.high)
        assert subject["costs"].keys() >= {"parameters", "macs", "activation_mib"}
    tests = {test["measure"]: test for test in found["tests"]}
    assert tests["val_error"]["difference"] == pytest.approx(-0.38)
    assert tests["train_error"]["difference"] == pytest.approx(-0.19)
    # Rounding of 1000 images is allowed for, so p is a little above Welch's on the bare values.
    halves = [[value / 2 for value in values] for values in errors]
    bare = stats.ttest_ind(*halves, equal_var=False)
    assert bare.pvalue <= tests["train_error"]["p"] < 1e-4
    assert found["notes"] == []


def test_studies_are_compared_by_their_best_and_by_what_they_ask(place: Path) -> None:
    found = call("compare", "depth", "longer", "--json", cwd=place).json

    assert found["differing"] == {"training.epochs": ["4", "8"]}
    assert [subject["network"].split()[0] for subject in found["subjects"]] == ["residual-8"] * 2

    found = call("compare", "depth", "rates", "--json", cwd=place).json

    assert found["differing"]["study.trials"] == [None, "5"]
    assert found["differing"]["study.sweep"] == ["{block: [plain, residual], depth: [8, 14, 20]}", None]


def test_where_there_is_one_seed_there_is_no_test_and_that_is_said(place: Path) -> None:
    found = call("compare", "depth", "rates", "--json", cwd=place).json

    assert found["tests"] == []
    assert found["subjects"][1]["errors"]["val_error"]["low"] is None
    assert any("rates was trained once, in a search" in note for note in found["notes"])
    assert any("No test with rates" in note for note in found["notes"])


def test_three_are_each_tested_against_the_first_with_a_correction(place: Path) -> None:
    numbers = [trial_of("residual", depth, place) for depth in (8, 14, 20)]

    found = call("compare", *(f"depth:{number}" for number in numbers), "--json", cwd=place).json

    rows = [test for test in found["tests"] if test["measure"] == "val_error"]
    assert [(row["first"], row["second"]) for row in rows] == [
        (f"depth:{numbers[0]}", f"depth:{number}") for number in numbers[1:]
    ]
    assert all(
        row["p"] < row["p_adjusted"] <= 2 * row["p"] + 1e-12 or row["p"] == row["p_adjusted"] for row in rows
    )
    assert max(row["p_adjusted"] / row["p"] for row in rows) == pytest.approx(2)


def test_people_get_both_side_by_side(place: Path) -> None:
    plain, residual = (trial_of(block, 20, place) for block in ("plain", "residual"))

    out = call("compare", f"depth:{plain}", f"depth:{residual}", cwd=place).out

    assert ["block", "plain", "residual"] in [line.split() for line in out.splitlines()]
    (errors,) = [line for line in out.splitlines() if line.startswith("validation error")]
    assert errors.split()[2:] == ["45.10%", "(44.85%", "to", "45.35%)", "7.10%", "(6.85%", "to", "7.35%)"]
    assert (
        f"depth:{residual} against depth:{plain}: validation error 38 points lower, 7.1 % and 45.1 % (p"
        in out
    )


def test_a_trial_against_itself_differs_in_nothing(place: Path) -> None:
    assert call("compare", "depth:0", "depth:0", cwd=place).out.startswith("No setting differs.\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["depth"], "Give two studies or trials, or more. See: archsearch compare --help"),
        (["depth", "deepth"], "STUDY: must be the name of a study that was run, got deepth."),
        (["depth", "depth:17"], "depth:17: must be a trial of the study, got 17. It has trials 0 to 5."),
        (["depth", "depth:x"], "STUDY: must be the name of a study that was run, got 'depth:x'."),
        (["depth", ":1"], "STUDY: must be the name of a study that was run, got"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_compared_is_said_in_one_line(given: list[str], message: str, place: Path) -> None:
    answer = call("compare", *given, cwd=place)

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert message in answer.err


def test_a_study_in_which_nothing_has_ended_has_no_best(tmp_path: Path) -> None:
    run(SWEPT, tmp_path / "runs", until=6)

    answer = call("compare", "depth", "depth", cwd=tmp_path)

    assert answer.code == 2
    assert (
        "must have a finished trial, got depth. Name a trial of it, as in depth:0, or run it." in answer.err
    )
    assert (
        "has no result: its outcome is not finished yet"
        in call("compare", "depth:0", "depth:0", cwd=tmp_path).out
    )
