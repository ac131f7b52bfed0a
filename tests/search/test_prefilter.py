"""A prefilter trains what its predictor holds for promising, says why not, and decides alike when resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.journal import read_journal
from archsearch.search.conductor import Conductor
from archsearch.search.prefilter import REFERENCE
from archsearch.training import predictors
from tests.search.conftest import Laboratory, TableExecutor

# 24 networks.
SEARCH = """
name: filtered
data: {name: digits, train_limit: 100}
search:
  depth: [8, 14, 20]
  width: [2, 3, 4, 5]
  block: [plain, residual]
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 6
sampler: random
prefilter: {score: parameters, keep: 0.25}
training: {epochs: 2}
"""
TPE = SEARCH.replace("trials: 6", "trials: 4").replace(
    "sampler: random", "sampler: {name: tpe, n_startup_trials: 3}"
)


def outcomes(conductor: Conductor) -> list[tuple[object, ...]]:
    return [
        (trial.phase, dict(trial.cell), dict(trial.values), trial.outcome, trial.reason, trial.score)
        for trial in conductor.trials.values()
    ]


def references(laboratory: Laboratory) -> list[dict[str, object]]:
    return [record.fields for record in read_journal(laboratory.folder.journal) if record.kind == "prefilter"]


def test_only_the_best_share_is_trained_and_the_rest_does_not_count(laboratory: Laboratory) -> None:
    executor = TableExecutor()
    trials = laboratory.run(SEARCH, executor).trials.values()
    (reference,) = references(laboratory)
    scores = reference["scores"]

    # of all 24 networks a quarter, ends included
    assert len(scores) == len(set(scores)) * 2 == 24
    assert reference["threshold"] == scores[5]
    kept = [trial for trial in trials if trial.outcome != "infeasible"]
    rejected = [trial for trial in trials if trial.outcome == "infeasible"]
    assert len(kept) == 6
    assert all(trial.parameters >= scores[5] for trial in kept)
    assert rejected
    assert all(trial.parameters < scores[5] for trial in rejected)
    assert {trial.number for trial in rejected}.isdisjoint(number for number, _ in executor.trained)


def test_a_rejected_proposal_names_score_and_threshold(laboratory: Laboratory) -> None:
    trials = laboratory.run(SEARCH).trials.values()
    rejected = next(trial for trial in trials if trial.outcome == "infeasible")
    (reference,) = references(laboratory)

    assert rejected.score == rejected.parameters
    assert rejected.reason == (
        f"prefilter: parameters must be at least {reference['threshold']:,.6g}, as of the best 25% of 24 "
        f"sampled networks, got {rejected.parameters:,.6g}"
    )


def test_the_sampler_learns_by_how_much_it_was_missed(laboratory: Laboratory) -> None:
    conductor = laboratory.run(SEARCH)
    (reference,) = references(laboratory)
    for trial in conductor.trials.values():
        missed = conductor._searches.frozen(trial).constraints.get("prefilter")
        if trial.outcome == "infeasible":
            assert missed == pytest.approx(1 - trial.parameters / reference["threshold"])


def test_keep_1_trains_everything_and_notes_the_scores(laboratory: Laboratory) -> None:
    trials = laboratory.run(SEARCH.replace("0.25", "1")).trials.values()

    assert {trial.outcome for trial in trials} <= {"complete", "repeated"}
    assert all(trial.score == trial.parameters for trial in trials)


def test_each_cell_has_a_reference_of_its_own(laboratory: Laboratory) -> None:
    text = SEARCH.replace("  block: [plain, residual]\n", "").replace("trials: 6", "trials: 2")
    laboratory.run(text + "sweep: {block: [plain, dense]}\n")

    found = references(laboratory)
    assert {reference["cell"]["architecture.block"] for reference in found} == {"dense", "plain"}
    assert len(found) == 2
    assert found[0]["scores"] != found[1]["scores"]


def test_a_large_space_is_represented_by_64_networks(laboratory: Laboratory) -> None:
    text = SEARCH.replace("width: [2, 3, 4, 5]", "width: {low: 2, high: 100}").replace(
        "trials: 6", "trials: 1"
    )
    laboratory.run(text)

    assert len(references(laboratory)[0]["scores"]) == REFERENCE == 64


def test_baselines_and_confirmations_are_trained_whatever_their_score(laboratory: Laboratory) -> None:
    text = SEARCH.replace("trials: 6", "trials: 2\nseeds: 2\ninclude: [resnet20]")
    trials = laboratory.run(text).trials.values()

    others = [trial for trial in trials if trial.phase != "search"]
    assert [trial.phase for trial in others] == ["include", "confirm"]
    assert {trial.outcome for trial in others} == {"complete"}
    assert {trial.score for trial in others} == {None}


def test_what_breaks_a_constraint_is_not_scored_and_not_in_the_reference(laboratory: Laboratory) -> None:
    trials = laboratory.run(SEARCH + "constraints: {parameters: {max: 5_000}}\n").trials.values()

    assert max(references(laboratory)[0]["scores"]) <= 5000
    too_large = [trial for trial in trials if trial.parameters > 5000]
    assert too_large
    assert all(trial.score is None and "at most 5,000" in trial.reason for trial in too_large)


def test_what_cannot_be_ranked_is_trained(laboratory: Laboratory) -> None:
    text = SEARCH.replace("score: parameters", "score: synflow").replace("trials: 6", "trials: 3")
    # through the zeros that fixup begins with, nothing flows
    text += "architecture: {norm: none, initialization: fixup}\n"
    trials = laboratory.run(text.replace("block: [plain, residual]", "activation: [relu]")).trials.values()

    assert [trial.outcome for trial in trials] == ["complete"] * 3
    assert {trial.score for trial in trials} == {None}
    (reference,) = references(laboratory)
    assert (reference["scores"], reference["threshold"], reference["unranked"]) == ([], None, 12)


def test_a_measured_score_decides(laboratory: Laboratory) -> None:
    text = SEARCH.replace("score: parameters", "score: synflow")
    trials = laboratory.run(text.replace("20]", "8]").replace("[8, 14, 8]", "[8]")).trials.values()

    (reference,) = references(laboratory)
    assert len(reference["scores"]) == 8
    for trial in trials:
        assert (trial.outcome == "infeasible") == (trial.score < reference["scores"][1])
    assert "infeasible" in {trial.outcome for trial in trials}


def test_each_network_is_scored_once(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []

    def synflow(network: object, shape: object) -> float:
        scored.append(network)
        return float(len(scored))

    monkeypatch.setattr(predictors, "synflow", synflow)
    laboratory.run(SEARCH.replace("score: parameters", "score: synflow").replace("keep: 0.25", "keep: 0.9"))

    assert len(scored) == 24


def test_cut_off_after_any_record_it_decides_the_same(laboratory: Laboratory, tmp_path: Path) -> None:
    whole = outcomes(laboratory.run(TPE))
    lines = laboratory.folder.journal.read_bytes().splitlines(keepends=True)
    assert {"infeasible", "complete"} <= {row[3] for row in whole}
    for kept in range(1, len(lines)):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.folder.path.mkdir()
        other.folder.journal.write_bytes(b"".join(lines[:kept]))
        assert outcomes(other.run(TPE)) == whole, f"cut after {kept} of {len(lines)} records"
        assert len(references(other)) == 1
