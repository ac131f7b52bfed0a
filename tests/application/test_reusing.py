"""What other studies have is used by those that are really run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archsearch.analysis.frames import load_frames
from archsearch.application import running
from archsearch.application.provenance import fingerprint_code
from archsearch.application.reporting import write_report
from archsearch.application.running import Outcome, run_study
from archsearch.errors import RunFolderError, StudyError
from archsearch.journal import read_journal
from archsearch.search.ranking import finished_trials, rank
from archsearch.study import parse_study
from archsearch.tracking.deriving import Rows
from archsearch.tracking.rows import RunKey
from archsearch.training.values import Compute
from tests.application.conftest import run_study_in
from tests.command_line import call

pytestmark = pytest.mark.slow

SWEEP = """
name: first
data: {name: digits, train_limit: 128}
architecture: {width: 3}
sweep: {block: [plain, residual]}
seeds: 2
training: {epochs: 2, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""
SEARCH = """
name: first
data: {name: digits, train_limit: 128}
architecture: {width: 3, depth: 8}
search: {training.learning_rate: {low: 0.01, high: 0.5, log: true}}
trials: 3
seeds: 1
training: {epochs: 1, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""
BOTH = pytest.mark.parametrize("text", [SWEEP, SEARCH], ids=["sweep", "search"])


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[Compute]:
    """What was decided, in place of being measured: something else each time."""
    made: list[Compute] = []

    def decide(*_: object) -> Compute:
        made.append(Compute(reason=f"decision {len(made)}", channels_last=len(made) % 2 == 1))
        return made[-1]

    monkeypatch.setattr(running, "decide_compute", decide)
    return made


def run(folder: Path, text: str, name: str = "first", said: list[str] | None = None) -> Outcome:
    study = parse_study(text.replace("name: first", f"name: {name}"), f"{name}.yaml")
    return run_study(study, runs_folder=folder, say=(said if said is not None else []).append)


def trained(outcome: Outcome) -> int:
    return sum(record.kind == "started" for record in read_journal(outcome.folder.journal))


def results(outcome: Outcome) -> list[Mapping[str, Any]]:
    return [
        {**replicate.metrics, **{name: value for name, value in replicate.test.items() if "error" in name}}
        for trial in outcome.history.trials.values()
        for replicate in trial.replicates.values()
    ]


@BOTH
def test_the_second_run_of_a_study_trains_nothing(text: str, tmp_path: Path, decided: list[Compute]) -> None:
    first = run(tmp_path, text)
    before = trained(first)
    begun = time.monotonic()
    second = run(tmp_path, text)

    assert time.monotonic() - begun < 5
    assert trained(second) == before == 4
    assert results(second) == results(first)
    assert second.history.finished == "every trial asked for has ended"


@BOTH
def test_under_another_name_it_takes_over_arithmetic_and_results(
    text: str, tmp_path: Path, decided: list[Compute]
) -> None:
    first, said = run(tmp_path, text), []
    begun = time.monotonic()
    second = run(tmp_path, text, "second", said)

    assert time.monotonic() - begun < 10
    assert (trained(first), trained(second), len(decided)) == (4, 0, 1)
    assert results(second) == results(first)
    assert all(result["test_error"] >= 0 for result in results(second)[-1:])
    assert second.history.compute["reason"] == "as in study first: decision 0"
    lent = "4 of 4 results are taken over from study first, and not trained again."
    assert f"{lent} With execution: {{reuse: false}} all would be." in said
    report = write_report(second.folder, second.history)
    assert report is not None
    assert lent in report.page.read_text()
    frame = load_frames("second", runs_folder=tmp_path).replicates
    assert list(frame["taken_over_from"]) == ["first"] * 4


@pytest.mark.slow
def test_without_reuse_all_is_measured_and_trained_anew(tmp_path: Path, decided: list[Compute]) -> None:
    run(tmp_path, SWEEP)
    anew = SWEEP.replace("{executor: inline}", "{executor: inline, reuse: false}")
    second = run(tmp_path, anew, "second")

    assert (trained(second), len(decided)) == (4, 2)
    assert second.history.taken_over == {}


@pytest.mark.slow
def test_who_sets_other_workers_has_the_arithmetic_measured(tmp_path: Path, decided: list[Compute]) -> None:
    run(tmp_path, SWEEP)
    run(tmp_path, SWEEP.replace("{executor: inline}", "{executor: inline, workers: 3}"), "second")

    assert len(decided) == 2


def test_mlflow_is_given_the_course_of_what_was_taken_over(tmp_path: Path, decided: list[Compute]) -> None:
    run(tmp_path, SWEEP)
    rows: list[Rows] = [Rows(), Rows()]
    for one, outcome in zip(rows, (run(tmp_path, SWEEP), run(tmp_path, SWEEP, "second")), strict=True):
        for record in read_journal(outcome.folder.journal):
            one.add(record)

    ours, theirs = (one.changed for one in rows)
    assert set(ours) == set(theirs)
    for key in theirs:
        points = [
            sorted(
                (point.name, point.step, point.value)
                for point in changed[key].points
                if "latency" not in point.name
            )
            for changed in (ours, theirs)
        ]
        assert points[0] == points[1]
        assert theirs[key].status == "FINISHED"
    assert theirs[RunKey("trial", 0)].tags["archsearch.taken_over_from"] == "first"
    assert "archsearch.taken_over_from" not in ours[RunKey("trial", 0)].tags


def test_the_code_is_that_of_archsearch_and_the_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fingerprint_code() == fingerprint_code(())
    assert len(fingerprint_code()) == 64
    package = tmp_path / "blocks_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("WIDTH = 1\n")
    info = tmp_path / "blocks_of_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blocks-of-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archsearch.blocks]\nmine = blocks_of_mine:MINE\n")
    monkeypatch.syspath_prepend(tmp_path)
    with_plugin = fingerprint_code(("blocks-of-mine",))
    (package / "__init__.py").write_text("WIDTH = 2\n")

    assert len({fingerprint_code(), with_plugin, fingerprint_code(("blocks-of-mine",))}) == 3


def test_a_warm_start_stands_in_the_journal_and_is_gathered_once(
    tmp_path: Path, decided: list[Compute]
) -> None:
    first, said = run(tmp_path, SEARCH), []
    warm = SEARCH.replace("trials: 3", "trials: 2\nwarm_start: first")
    second = run(tmp_path, warm, "second", said)

    searched = finished_trials(first.history.trials.values(), phases=["search"])
    best = rank(searched, first.study.objectives)[0]
    assert dict(second.history.trials[0].values) == dict(best.values)
    assert any(text.startswith("Warm start from first: 1 of its settings are tried first") for text in said)
    (record,) = (r for r in read_journal(second.folder.journal) if r.kind == "warm_start")
    assert record.number < next(r.number for r in read_journal(second.folder.journal) if r.kind == "trial")
    # the other one is gone
    first.folder.journal.rename(tmp_path / "journal.log")
    grown = run(tmp_path, warm.replace("trials: 2", "trials: 3"), "second")
    assert sum(trial.phase == "search" for trial in grown.history.trials.values()) == 3


@pytest.mark.parametrize(
    ("warm", "message"),
    [
        (
            "nowhere",
            r"warm_start: must be the name of a study that was run, got nowhere\. Studies in .*: first\.",
        ),
        ("second", r"warm_start: must be the name of a study that was run, got second"),
        ("[first, nowhere]", r"got nowhere"),
    ],
)
def test_a_warm_start_from_what_was_not_run_is_refused_before_anything_is_written(
    warm: str, message: str, tmp_path: Path, decided: list[Compute]
) -> None:
    run(tmp_path, SEARCH)
    with pytest.raises(RunFolderError, match=message):
        run(tmp_path, f"{SEARCH}warm_start: {warm}\n", "second")
    assert not (tmp_path / "second").exists()


def test_a_study_does_not_begin_with_itself_nor_with_other_objectives(
    tmp_path: Path, decided: list[Compute]
) -> None:
    first = run(tmp_path, SEARCH)
    with pytest.raises(StudyError, match=r"second\.yaml: warm_start: must have the objectives of this study"):
        run(tmp_path, f"{SEARCH}warm_start: first\nobjectives: {{val_error: minimize}}\n", "second")
    with pytest.raises(StudyError, match="warm_start: must stay as it was when this study first ran"):
        run(tmp_path, f"{SEARCH}warm_start: first\n")
    lines = first.folder.journal.read_bytes().splitlines(keepends=True)
    first.folder.journal.write_bytes(lines[0])
    with pytest.raises(StudyError, match="warm_start: must name another study, got first"):
        run(tmp_path, f"{SEARCH}warm_start: first\n")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("budget: {epochs: 25}", "allows about 24 trials of the search, and 1 training of confirmations"),
        (
            "budget: {epochs: 9000, hours: 99}\ntrials: 3",
            "The budget of 99 hours or 9,000 epochs suffices for all of it.",
        ),
        ("budget: {macs: 1}", "The budget of 1 multiply-accumulates allows about 0 trials of the search"),
    ],
)
def test_the_plan_says_how_many_trials_a_budget_allows(change: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SEARCH.replace("trials: 3", change))
    answer = call("plan", "s.yaml", cwd=tmp_path)

    assert answer.code == 0, answer.err
    assert sentence in answer.out.replace("\n", " ")


@pytest.mark.slow
def test_a_budget_of_hours_is_kept_to_by_the_clock(tmp_path: Path) -> None:
    text = SEARCH.replace("trials: 3", "budget: {hours: 0.02}").replace("seeds: 1", "seeds: 2")
    text = text.replace("{executor: inline}", "{executor: local, workers: 1}").replace(
        "train_limit: 128", "train_limit: 512"
    )
    begun = time.monotonic()
    study = run_study_in(tmp_path, text.lstrip())
    took_s = time.monotonic() - begun

    assert study.answer.code == 0, study.answer.err
    assert 0.9 * 72 < took_s < 1.1 * 72
    confirmed = [t for t in study.history().trials.values() if t.phase == "confirm"]
    assert [trial.outcome for trial in confirmed] == ["complete"]
    assert all(replicate.test for replicate in confirmed[0].replicates.values())
    assert (study.run_folder.report / "report.html").is_file()


@pytest.mark.slow
def test_what_ran_under_another_version_is_not_taken_over(
    tmp_path: Path, decided: list[Compute], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, SWEEP)
    described = running.describe_provenance

    def describe(*arguments: Any, **options: Any) -> dict[str, Any]:
        found = described(*arguments, **options)
        return {**found, "versions": {**found["versions"], "torch": "1.0"}}

    monkeypatch.setattr(running, "describe_provenance", describe)
    second = run(tmp_path, SWEEP, "second")

    assert (trained(second), len(decided)) == (4, 2)
    assert replace(decided[0], reason="") != replace(decided[1], reason="")


def test_what_lies_in_another_folder_of_runs_is_taken_over_where_the_study_names_it(
    tmp_path: Path, decided: list[Compute]
) -> None:
    first = run(tmp_path / "there", SWEEP)
    naming = SWEEP.replace("executor: inline", f"executor: inline, reuse_from: [{tmp_path / 'there'}]")
    second = run(tmp_path / "here", naming)
    assert (trained(first), trained(second)) == (4, 0)
    assert results(second) == results(first)
    with pytest.raises(StudyError, match=r"execution\.reuse_from: must name folders of runs, got .*nowhere"):
        run(tmp_path / "here", naming.replace("there]", "nowhere]"), "second")
