"""A search begins with what other studies have found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from archsearch.errors import StudyError
from archsearch.journal import Journal, Record, StudyHistory, read_journal
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.ranking import rank
from archsearch.search.warm_start import WarmStart, gather
from archsearch.study import StudyConfig, parse_study
from archsearch.study.vocabulary import FROM_PACKAGE, SAMPLERS
from archsearch.training import Compute
from tests.search.conftest import Laboratory, TableExecutor
from tests.search.test_conductor import SEARCH, told

GRID = SEARCH.replace("{low: 0.01, high: 0.5, log: true}", "[0.01, 0.05, 0.1]")
LEARNING = ("tpe", "nsga2", "gp", "evolution", "local_search")


def history(laboratory: Laboratory, text: str) -> StudyHistory:
    with_identity = laboratory.run(text).history
    header = {**with_identity.header, "identity": parse_study(text, "s.yaml").identity(), "uid": "one"}
    return replace(with_identity, header=header)


def start(text: str, **others: StudyHistory) -> tuple[StudyConfig, dict[str, Any], list[str]]:
    study = parse_study(text, "study.yaml")
    return study, *gather(study, others)


def begin(laboratory: Laboratory, study: StudyConfig, fields: dict[str, Any], *, trials: int) -> Conductor:
    """Run a study for so many trials, from what stands in its journal."""
    with Journal.open(laboratory.folder.journal) as journal:
        if not journal.records:
            journal.append("study", name=study.name, train_images=1000, objectives=dict(study.objectives))
            journal.append("warm_start", **fields)
        study = replace(study, trials=trials)
        conductor = Conductor(study, journal, Workplace(TableExecutor(), Compute(), laboratory.folder))
        if conductor.take_up():
            conductor.record("session")
            conductor.record("finished", reason=conductor.run())
    return conductor


@pytest.fixture
def other(tmp_path: Any) -> StudyHistory:
    return history(Laboratory(tmp_path / "other"), SEARCH)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in FROM_PACKAGE])
def test_the_best_settings_of_the_other_are_tried_first(
    sampler: str, other: StudyHistory, laboratory: Laboratory, tmp_path: Any
) -> None:
    text = SEARCH
    if sampler == "grid":
        other, text = history(Laboratory(tmp_path / "grid"), GRID + "sampler: grid\n"), GRID
    study, fields, _ = start(text + f"sampler: {sampler}\n", other=other)

    trials = begin(laboratory, study, fields, trials=4).trials

    best = rank([t for t in other.trials.values() if t.outcome == "complete"], study.objectives)[0]
    assert dict(trials[0].values) == dict(best.values)
    assert len({str(dict(trial.values)) for trial in trials.values()}) > 1
    assert all(t.outcome in ("complete", "repeated") for t in trials.values())


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in FROM_PACKAGE])
def test_a_sampler_that_learns_is_told_of_all_results_that_it_would_have_come_to(
    sampler: str, other: StudyHistory
) -> None:
    text = (GRID if sampler == "grid" else SEARCH) + f"sampler: {sampler}\n"
    _, fields, (sentence,) = start(text, other=other)

    distinct = {str(dict(t.values)): t for t in other.trials.values() if t.outcome == "complete"}
    (cell,) = fields["cells"]
    if sampler not in LEARNING:
        assert cell["known"] == []
        assert sentence.endswith(f"; {sampler} learns of no results.") or "lies outside" in sentence
        return
    known = {entry["trial"]: (entry["values"], tuple(entry["objectives"])) for entry in cell["known"]}
    assert len(known) == len(distinct) - len(cell["first"])
    for number, (values, objectives) in known.items():
        trial = other.trials[number]
        assert (values, objectives) == (dict(trial.values), trial.objective_values)
    assert f"told of {len(distinct)} results" in sentence


def test_local_search_stands_on_the_best_result_that_it_was_told_of(
    other: StudyHistory, laboratory: Laboratory
) -> None:
    study, fields, _ = start(GRID + "sampler: {name: local_search, n_startup_trials: 3}\n", other=other)
    # nothing is tried first: what it does comes of what it was told
    best = {"architecture.depth": 14, "architecture.block": "plain", "training.learning_rate": 0.05}
    known = [
        {"values": {**best, "architecture.depth": depth}, "objectives": [value], "study": "other", "trial": 0}
        for depth, value in ((8, 0.1), (14, 0.99), (20, 0.2))
    ]
    fields["cells"] = [{"cell": {}, "first": [], "known": known}]

    trials = begin(laboratory, study, fields, trials=2).trials

    for trial in trials.values():
        changed = [path for path, value in best.items() if trial.values[path] != value]
        assert len(changed) == 1


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_search_that_was_told_proposes_otherwise_than_one_that_was_not(
    sampler: str, other: StudyHistory, laboratory: Laboratory, tmp_path: Any
) -> None:
    options = {
        "tpe": "n_startup_trials: 3",
        "gp": "n_startup_trials: 3",
        "nsga2": "population_size: 4",
        "evolution": "population_size: 4, sample_size: 2",
        "local_search": "n_startup_trials: 3",
    }[sampler]
    study, fields, _ = start(SEARCH + f"sampler: {{name: {sampler}, {options}}}\n", other=other)
    (cell,) = fields["cells"]
    assert len(cell["known"]) >= 4
    alone = {**fields, "cells": [{**cell, "known": []}]}

    informed = begin(laboratory, study, fields, trials=2).trials[1]
    uninformed = begin(Laboratory(tmp_path / "alone"), study, alone, trials=2).trials[1]

    assert dict(informed.values) != dict(uninformed.values)


@pytest.mark.parametrize("sampler", LEARNING)
def test_wherever_it_was_killed_it_goes_on_the_same_without_the_others(
    sampler: str, other: StudyHistory, laboratory: Laboratory, tmp_path: Any
) -> None:
    if sampler == "gp":
        pytest.skip("as tpe, and slow")
    study, fields, _ = start(SEARCH + f"sampler: {sampler}\n", other=other)
    whole = told(begin(laboratory, study, fields, trials=4))
    lines = laboratory.folder.journal.read_bytes().splitlines(keepends=True)
    for kept in range(2, len(lines), 3):
        cut = Laboratory(tmp_path / f"cut-{kept}")
        cut.folder.path.mkdir()
        cut.folder.journal.write_bytes(b"".join(lines[:kept]))
        assert told(begin(cut, study, fields, trials=4)) == whole, f"cut after {kept} lines"


def test_what_lies_outside_of_the_search_is_left_out_and_named(
    other: StudyHistory, laboratory: Laboratory
) -> None:
    narrow = SEARCH.replace("depth: [8, 14, 20]", "depth: [26, 32]")
    study, fields, (sentence,) = start(narrow, other=other)

    (cell,) = fields["cells"]
    assert cell["known"] == []
    assert set(cell["first"][0]) & {"architecture.depth", "training.learning_rate"} == {
        "training.learning_rate"
    }
    assert "Of the best, depth lies outside of this search." in sentence
    first = begin(laboratory, study, fields, trials=1).trials[0]
    assert first.values["architecture.depth"] in (26, 32)
    assert first.values["training.learning_rate"] == cell["first"][0]["training.learning_rate"]


@pytest.mark.parametrize(
    "change",
    [
        ("epochs: 4", "epochs: 8"),
        ("width: 8", "width: 4"),
        ("data: digits", "data: {name: digits, train_limit: 300}"),
    ],
)
def test_of_other_trainings_only_the_best_settings_are_taken(
    change: tuple[str, str], other: StudyHistory
) -> None:
    _, fields, (sentence,) = start(SEARCH.replace(*change), other=other)

    (cell,) = fields["cells"]
    assert (len(cell["first"]), cell["known"]) == (1, [])
    assert "told of 0 results" in sentence
    assert "trained in another way than here, on other data" in sentence


def test_each_cell_is_given_what_agrees_with_it(other: StudyHistory) -> None:
    text = SEARCH.replace("  depth: [8, 14, 20]\n", "") + "sweep: {depth: [8, 20]}\n"
    study, fields, _ = start(text, other=other)

    for entry in fields["cells"]:
        depth = entry["cell"]["architecture.depth"]
        agreeing = [t for t in other.trials.values() if t.values["architecture.depth"] == depth]
        numbers = {t.number for t in agreeing}
        assert {known["trial"] for known in entry["known"]} <= numbers
        best = rank([t for t in agreeing if t.outcome == "complete"], study.objectives)[0]
        assert entry["first"] == [{p: v for p, v in best.values.items() if p != "architecture.depth"}]


def test_several_studies_give_each_their_best(other: StudyHistory, tmp_path: Any) -> None:
    second = history(Laboratory(tmp_path / "second"), SEARCH + "seed: 7\n")
    _, fields, sentences = start(SEARCH, other=other, second=second)

    assert len(fields["cells"][0]["first"]) == 2
    assert [entry["study"] for entry in fields["studies"]] == ["other", "second"]
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "Warm start from other",
        "Warm start from second",
    ]


def test_other_objectives_are_refused(other: StudyHistory) -> None:
    rule = r"must have the objectives of this study, val_error: minimize, got other\. It has val_accuracy"
    with pytest.raises(StudyError, match=rule):
        start(SEARCH.replace("val_accuracy: maximize", "val_error: minimize"), other=other)


def test_results_from_elsewhere_let_no_cell_be_pruned_empty(
    other: StudyHistory, laboratory: Laboratory
) -> None:
    text = SEARCH + "pruner: {name: percentile, percentile: 0.0, n_startup_trials: 0}\n"
    study, fields, _ = start(text, other=other)
    assert fields["cells"][0]["known"]

    trials = begin(laboratory, study, fields, trials=3).trials

    assert trials[0].outcome == "complete"


def test_a_journal_without_a_warm_start_begins_with_nothing() -> None:
    start = WarmStart([Record(1, 0.0, "study", {})]).of("all")
    assert (list(start.first), list(start.known)) == ([], [])


def test_values_are_no_numbers_by_accident(other: StudyHistory) -> None:
    trial = next(t for t in other.trials.values() if t.outcome == "complete")
    odd = replace(trial, values={**trial.values, "training.learning_rate": True})
    _, fields, _ = start(SEARCH, other=replace(other, trials={0: odd}))

    assert "training.learning_rate" not in fields["cells"][0]["first"][0]
    assert not any(
        math.isnan(value) for known in fields["cells"][0]["known"] for value in known["objectives"]
    )


def test_the_record_can_be_read_back(other: StudyHistory, laboratory: Laboratory) -> None:
    study, fields, _ = start(SEARCH, other=other)
    begin(laboratory, study, fields, trials=1)

    again = WarmStart(read_journal(laboratory.folder.journal)).of("all")
    assert list(again.first) == fields["cells"][0]["first"]
    assert len(again.known) == len(fields["cells"][0]["known"])
