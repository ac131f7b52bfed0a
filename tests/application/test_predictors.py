"""Predictors from the plan over the search to the report, and latency on ONNX Runtime, on real trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.application import preparing
from archsearch.journal import RunFolder
from tests.command_line import Answer, call

pytestmark = pytest.mark.slow

SEARCH = """
name: filtered
data: {name: digits, train_limit: 64}
architecture: {depth: 8}
search: {width: [2, 3, 4, 5]}
trials: 2
sampler: random
prefilter: {score: synflow, keep: 0.5}
training: {epochs: 1, batch_size: 32, precision: '32'}
execution: {executor: inline, keep: none}
tracking: {enabled: false}
"""
SWEEP = (
    SEARCH.replace("search:", "sweep:")
    .replace("trials: 2\nsampler: random\n", "")
    .replace("prefilter: {score: synflow, keep: 0.5}\n", "")
)


def run(folder: Path, text: str) -> Answer:
    (folder / "s.yaml").write_text(text)
    answer = call("run", "s.yaml", "--json", cwd=folder)
    assert answer.code == 0, answer.err
    return answer


def test_a_plan_shows_what_predictors_say_of_each_network(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SWEEP)
    networks = call("plan", "s.yaml", "--predictors", "--json", cwd=tmp_path).json["networks"]

    flows = [network["predictors"]["synflow"] for network in networks]
    assert [set(network["predictors"]) for network in networks] == [{"grad_norm", "synflow", "naswot"}] * 4
    # the wider, the more flows
    assert flows == sorted(flows)
    assert len(set(flows)) == 4
    shown = call("plan", "s.yaml", "--predictors", cwd=tmp_path).out
    assert "synflow" in shown
    assert f"{flows[0]:,.4g}" in shown
    assert call("plan", "s.yaml", "--json", cwd=tmp_path).json["networks"][0]["predictors"] == {}
    assert "synflow" not in call("plan", "s.yaml", cwd=tmp_path).out


def test_a_prefiltered_search_trains_the_better_half_and_scores_it(tmp_path: Path) -> None:
    counts = run(tmp_path, SEARCH).json["trials"]
    trials = RunFolder(tmp_path / "runs" / "filtered").history().trials.values()

    assert counts["complete"] + counts.get("repeated", 0) == 2
    trained = [trial for trial in trials if trial.outcome == "complete"]
    assert {trial.architecture["width"] for trial in trained} <= {4, 5}
    assert all(set(trial.predictors) == {"grad_norm", "synflow", "naswot"} for trial in trained)
    assert all(trial.predictors["synflow"] == trial.score for trial in trained)
    report = call("report", "filtered", "--json", cwd=tmp_path).json
    assert [row["words"] for row in report["predictors"]] == ["too few networks to say (below 10)"] * 5
    page = (tmp_path / report["page"]).read_text()
    assert "Free predictors" in page


@pytest.mark.slow
def test_a_finished_study_is_scored_when_it_is_asked_for(tmp_path: Path) -> None:
    run(tmp_path, SWEEP)
    folder = RunFolder(tmp_path / "runs" / "filtered")
    assert not any(trial.predictors for trial in folder.history().trials.values())

    run(tmp_path, SWEEP + "predictors: true\n")

    history = folder.history()
    assert history.finished
    assert all(trial.predictors["synflow"] > 0 for trial in history.trials.values())
    assert all(
        replicate.attempts == 1 for t in history.trials.values() for replicate in t.replicates.values()
    )
    before = folder.journal.read_bytes()
    run(tmp_path, SWEEP + "predictors: true\n")
    assert folder.journal.read_bytes() == before


@pytest.mark.slow
def test_latency_on_onnx_runtime_can_be_optimised(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    text = SWEEP + "objectives: {val_accuracy: maximize, latency_onnx_ms: minimize}\n"
    run(tmp_path, text)

    trials = RunFolder(tmp_path / "runs" / "filtered").history().trials.values()
    assert all(0 < trial.metrics["latency_onnx_ms"] < 1000 for trial in trials)
    assert all(trial.objective_values[1] == trial.metrics["latency_onnx_ms"] for trial in trials)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_latency_on_onnx_runtime_is_refused_where_that_is_missing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "find_missing", lambda: ["onnxruntime"])
    (tmp_path / "s.yaml").write_text(SWEEP + "objectives: {latency_onnx_ms: minimize}\n")

    answer = call(command, "s.yaml", "--json", cwd=tmp_path)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "archsearch: s.yaml: objectives.latency_onnx_ms: needs onnxruntime, not installed here. Install it "
        "with pip install 'archsearch[onnx]', or take latency_ms, measured with torch.\n"
    )
    assert not (tmp_path / "runs").exists()
