"""`archsearch report` says what a study shows: verdicts, comparisons, a recommendation; on real runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archsearch.journal import RunFolder
from archsearch.study import parse_study
from tests.application.conftest import RunStudy
from tests.command_line import call


def test_a_report_has_a_verdict_for_each_curve_comparisons_and_a_recommendation(swept: RunStudy) -> None:
    report = swept.call("report", "swept", "--json").json

    assert [(v["curve"], v["family"]) for v in report["verdicts"]] == [
        ("block=plain", "plain"),
        ("block=dense", "dense"),
    ]
    for verdict in report["verdicts"]:
        assert verdict["sentence"].startswith(f"At 1 epoch, {verdict['curve']}: ")
        assert [cell["seeds"] for cell in verdict["evidence"]["cells"]] == [2, 2]
        assert all(0 <= row["p"] <= row["p_adjusted"] <= 1 for row in verdict["evidence"]["tests"])
    questions = {comparison["question"] for comparison in report["comparisons"]}
    assert questions == {"same depth", "deeper", "slopes"}
    trials = swept.history().trials
    chosen = report["recommendation"]
    assert trials[chosen["trial"]].name == chosen["network"]
    assert chosen["parameters"] == trials[chosen["trial"]].parameters


def test_the_size_of_the_validation_set_is_known(swept: RunStudy) -> None:
    first = next(iter(swept.history().trials[1].replicates.values())).metrics["val_error"]

    wrong = first * swept.history().header["val_images"]
    assert wrong == pytest.approx(round(wrong))


def test_people_read_the_verdicts_and_the_recommendation(swept: RunStudy) -> None:
    report = swept.call("report", "swept", "--json").json
    lines = swept.call("report", "swept").out.splitlines()

    for verdict in report["verdicts"]:
        assert verdict["sentence"] in lines
        assert all(f"  Note: {warning}" in lines for warning in verdict["warnings"])
    assert report["recommendation"]["sentence"] in lines


@pytest.mark.slow
def test_a_search_over_depth_is_told_which_sweep_would_decide(searched: RunStudy) -> None:
    verdicts = searched.call("report", "searched", "--json").json["verdicts"]
    shown = searched.call("report", "searched").out

    assert {verdict["verdict"] for verdict in verdicts} == {"undecided"}
    for verdict in verdicts:
        assert "undecided: searched, not swept." in verdict["sentence"]
        study = parse_study(verdict["deciding_study"], "sweep.yaml")
        assert {dimension.label for dimension in study.sweep} == {"block", "depth"}
    assert "    name: searched-sweep\n" in shown


@pytest.mark.slow
def test_a_training_that_ends_in_no_number_is_told_apart_from_other_failures(tmp_path: Path) -> None:
    (tmp_path / "nan.yaml").write_text(
        "name: nan\n"
        "data: {name: digits, train_limit: 256}\n"
        "architecture: {width: 4}\n"
        "sweep: {depth: [8, 14]}\n"
        "seeds: 2\n"
        "training: {epochs: 2, learning_rate: 1.0e+30}\n"
        "tracking: {enabled: false}\n"
    )
    call("run", "nan.yaml", cwd=tmp_path)
    history = RunFolder(tmp_path / "runs" / "nan").history()

    from archsearch.analysis import judge, read_curves

    (reading,) = read_curves(history)
    assert judge(reading.results).kind == "diverged"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_plain_networks_degrade_and_residual_ones_do_not(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "search_spaces" / "degradation.yaml", tmp_path)

    assert call("run", "degradation.yaml", cwd=tmp_path).code == 0
    report = call("report", "degradation", "--json", cwd=tmp_path).json

    found = {verdict["family"]: verdict for verdict in report["verdicts"]}
    assert found["plain"]["verdict"] == "degradation"
    assert found["plain"]["evidence"]["decisive"]["p_adjusted"] < 0.01
    assert found["residual"]["verdict"] in ("healthy", "saturated")
    (slopes,) = (
        row for row in report["comparisons"] if (row["question"], row["measure"]) == ("slopes", "train_error")
    )
    assert slopes["p_adjusted"] < 0.01
    assert report["recommendation"]["depth"] < 56
