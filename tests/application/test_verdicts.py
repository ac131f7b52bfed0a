"""`archsearch report` says what a study shows: verdicts, comparisons, a recommendation; on real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.journal import RunFolder
from archsearch.study import parse_study
from tests.application.conftest import RunStudy
from tests.command_line import call

pytestmark = pytest.mark.slow


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
def test_seeds_are_added_where_a_curve_is_undecided(tmp_path: Path) -> None:
    (tmp_path / "adaptive.yaml").write_text(
        "name: adaptive\n"
        "data: {name: digits, train_limit: 256}\n"
        "architecture: {width: 4}\n"
        "sweep: {block: [plain, residual], depth: [8, 26]}\n"
        "seeds: {min: 2, max: 4}\n"
        "smallest_difference: 0.02\n"
        "training: {epochs: 4, batch_size: 32, precision: '32'}\n"
        "execution: {executor: inline}\n"
        "tracking: {enabled: false}\n"
    )
    assert call("run", "adaptive.yaml", cwd=tmp_path).code == 0
    history = RunFolder(tmp_path / "runs" / "adaptive").history()
    verdicts = call("report", "adaptive", "--json", cwd=tmp_path).json["verdicts"]

    seeds = {trial.number: len(trial.seeds) for trial in history.trials.values()}
    for verdict, numbers in zip(verdicts, ([0, 1], [2, 3]), strict=True):
        most = max(seeds[number] for number in numbers)
        assert verdict["evidence"]["smallest_difference"] == 0.02
        assert verdict["evidence"]["level"] == (0.025 if most == 2 else 0.0125)
        assert verdict["verdict"] != "undecided" or most == 4
    assert all(trial.outcome == "complete" for trial in history.trials.values())
