"""`archsearch show`: a study and what it found; all about a trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.studies import SEARCHED, SWEPT, run
from tests.command_line import call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show")
    run(SWEPT, folder / "runs")
    run(SEARCHED, folder / "runs")
    return folder


def test_a_study_is_shown_with_its_question_and_settings(place: Path) -> None:
    shown = call("show", "depth", "--json", cwd=place).json

    assert shown["question"] == "Do plain networks get worse when they get deeper, and residual ones not?"
    assert shown["settings"] == {
        "data": "digits",
        "architecture": "{width: 4}",
        "sweep": "{block: [plain, residual], depth: [8, 14, 20]}",
        "seeds": "3",
        "training": "{epochs: 4}",
    }
    lines = call("show", "depth", cwd=place).out.splitlines()
    assert lines[0] == "depth, finished: every trial asked for has ended"
    assert lines[1] == shown["question"]
    assert "sweep         {block: [plain, residual], depth: [8, 14, 20]}" in lines


def test_cells_curves_leaderboard_and_verdicts_are_there(place: Path) -> None:
    shown = call("show", "depth", "--json", cwd=place).json

    assert [cell["cell"] for cell in shown["cells"]] == [
        f"block={block} depth={depth}" for block in ("plain", "residual") for depth in (8, 14, 20)
    ]
    assert all(cell["trials"] == {"complete": 1} for cell in shown["cells"])
    curves = {curve["curve"]: [point["depth"] for point in curve["points"]] for curve in shown["curves"]}
    assert curves == {"block=plain": [8, 14, 20], "block=residual": [8, 14, 20]}
    accuracies = [trial["values"]["val_accuracy"] for trial in shown["leaderboard"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(accuracies) == 6
    assert {verdict["curve"]: verdict["verdict"] for verdict in shown["verdicts"]}[
        "block=plain"
    ] == "degradation"
    assert shown["recommendation"]["network"].startswith("residual-8")


def test_curves_are_sparklines_on_one_scale(place: Path) -> None:
    out = call("show", "depth", cwd=place).out

    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["block=plain", "8,", "14,", "20", "training", "error", "▄▆█", "10.55%", "22.55%"])
    assert lines[start + 1 : start + 4] == [
        ["validation", "error", "▄▆█", "21.10%", "45.10%"],
        ["block=residual", "8,", "14,", "20", "training", "error", "▁▁▁", "2.95%", "3.55%"],
        ["validation", "error", "▁▁▁", "5.90%", "7.10%"],
    ]
    assert out.index("Best of depth") < out.index("▄▆█") < out.index("block=plain: degrades")


def test_a_search_without_a_sweep_has_no_cells(place: Path) -> None:
    shown = call("show", "rates", "--json", cwd=place).json

    assert shown["cells"] == []
    assert len(shown["leaderboard"]) == 5
    errors = [trial["values"]["val_error"] for trial in shown["leaderboard"]]
    assert errors == sorted(errors)


def test_a_trial_is_shown_with_all_that_it_was_trained_with(place: Path) -> None:
    shown = call("show", "depth", "--trial", "3", "--json", cwd=place).json

    assert (shown["trial"], shown["outcome"], shown["phase"]) == (3, "complete", "sweep")
    assert shown["architecture"]["depth"] == shown["depth"]
    assert shown["training"]["epochs"] == 4
    assert [replicate["seed"] for replicate in shown["replicates"]] == [0, 1, 2]
    assert all(len(replicate["epochs"]) == 4 for replicate in shown["replicates"])
    assert all(replicate["weights"] is None for replicate in shown["replicates"])
    assert shown["provenance"] == {"0": {"host": "workshop", "archsearch": "0.1.0"}}
    assert shown["mlflow"] == {
        "uri": "sqlite:///mlflow.db",
        "experiment": "depth",
        "run": f"{shown['network']} #3",
    }


def test_people_see_a_trial_with_its_curves_and_where_its_run_is(place: Path) -> None:
    out = call("show", "depth", "--trial", "3", cwd=place).out

    assert out.startswith("Trial 3 of depth: ")
    assert "  learning_rate: 0.1\n" in out
    accuracies = [line for line in out.splitlines() if line.startswith("validation accuracy ")]
    assert len(accuracies) == 3
    assert all("▁▃▆█" in line for line in accuracies)
    assert "MLflow           sqlite:///mlflow.db, experiment depth, run '" in out
    assert "weights, seed 0  not kept" in out


def test_weights_that_were_kept_are_named(place: Path) -> None:
    weights = place / "runs" / "depth" / "weights" / "trial-0003-seed-1.safetensors"
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(b"")
    try:
        shown = call("show", "depth", "--trial", "3", "--json", cwd=place).json
    finally:
        weights.unlink()

    assert [replicate["weights"] for replicate in shown["replicates"]] == [
        None,
        "runs/depth/weights/trial-0003-seed-1.safetensors",
        None,
    ]


def test_a_study_that_has_just_begun_can_be_shown(tmp_path: Path) -> None:
    run(SWEPT, tmp_path / "runs", until=6)

    answer = call("show", "depth", cwd=tmp_path)

    assert answer.code == 0
    assert "1 unfinished" in answer.out
    assert call("show", "depth", "--trial", "0", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["deepth"],
            "STUDY: must be the name of a study that was run, got deepth. Studies in runs: depth",
        ),
        (["depth", "--trial", "9"], "--trial: must be a trial of the study, got 9. It has trials 0 to 5."),
        (["depth", "--trial", "-1"], "Invalid value for '--trial': -1 is not in the range x>=0."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_said_in_one_line(arguments: list[str], message: str, place: Path) -> None:
    answer = call("show", *arguments, cwd=place)

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert message in answer.err
