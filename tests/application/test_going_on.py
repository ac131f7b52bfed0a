"""A study that is run again, after it has changed, or ended early, or on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from archsearch.application import running
from archsearch.application.reporting import write_report
from archsearch.application.running import Outcome, run_study
from archsearch.errors import StudyError
from archsearch.execution import Devices
from archsearch.journal import Journal, RunFolder, StudyHistory, read_journal
from archsearch.study import StudyConfig, parse_study
from archsearch.training.values import Compute

STUDY = """
name: small
data: {name: digits, train_limit: 128}
architecture: {width: 3}
sweep: {depth: [8, 14]}
seeds: {min: 2, max: 4}
training: {epochs: 1, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""


@pytest.fixture(autouse=True)
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks how fast anything is."""
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told"))


def run(folder: Path, text: str = STUDY) -> Outcome:
    return run_study(parse_study(text, "small.yaml"), runs_folder=folder)


def test_a_budget_that_ends_while_seeds_are_added_leaves_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(study: StudyConfig, history: StudyHistory) -> Sequence[int]:
        return [0, 1]

    monkeypatch.setattr(running, "find_undecided", both)
    # Two depths under two seeds, and one more training of the two that are then asked for.
    text = f"{STUDY}budget: {{epochs: 5}}\n"
    for _ in range(2):
        outcome = run(tmp_path, text)
        trials = outcome.history.trials.values()
        assert "epochs" in outcome.reason
        assert sorted(len(trial.replicates) for trial in trials) == [2, 3]
        assert all(trial.seeds == (0, 1, 2) for trial in trials)
        assert all(replicate.test for trial in trials for replicate in trial.replicates.values())
        assert outcome.history.looks == 1
    report = write_report(outcome.folder, outcome.history)
    assert report is not None
    assert [point.depth for point in report.curves[0].points] == [8, 14]


def test_what_a_study_asks_for_now_counts_though_nothing_is_left_to_train(tmp_path: Path) -> None:
    text = STUDY.replace("{min: 2, max: 4}", "2")
    first = run(tmp_path, text)
    assert first.history.question["smallest_difference"] == 0.01
    records = len(read_journal(first.folder.journal))
    assert len(read_journal(run(tmp_path, text).folder.journal)) == records

    again = run(tmp_path, f"{text}smallest_difference: 0.2\n")

    assert again.history.question["smallest_difference"] == 0.2
    assert [record.kind for record in read_journal(again.folder.journal)[records:]] == ["question"]
    assert again.history.finished


def test_a_baseline_that_a_cell_repeats_lends_it_its_epochs(tmp_path: Path) -> None:
    text = STUDY.replace("{min: 2, max: 4}", "1").replace("{width: 3}", "{block: residual}")
    outcome = run(tmp_path, text.replace("[8, 14]", "[20]") + "include: [resnet20]\n")

    repeated, source = sorted(outcome.history.trials.values(), key=lambda t: t.outcome != "repeated")
    assert (repeated.outcome, source.outcome) == ("repeated", "complete")
    assert repeated.replicates[0].epochs == source.replicates[0].epochs != ()
    assert repeated.replicates[0].profiles == source.replicates[0].profiles != {}


def begun_on(device: str, folder: Path) -> None:
    run(folder)
    path = RunFolder.of("small", folder).journal
    with Journal.open(path) as journal:
        (decided,) = [record.fields for record in journal.records if record.kind == "compute"]
        journal.append("compute", **{**decided, "device": device})


def test_a_study_that_began_on_a_device_that_is_not_here_says_so(tmp_path: Path) -> None:
    begun_on("mps", tmp_path)
    records = read_journal(RunFolder.of("small", tmp_path).journal)

    with pytest.raises(StudyError, match="the study began on mps, which this machine does not have"):
        run(tmp_path, STUDY.replace("max: 4", "max: 5"))
    with pytest.raises(StudyError, match="must be auto or mps, on which the study began"):
        run(tmp_path, STUDY.replace("inline}", "inline, device: cpu}"))
    assert read_journal(RunFolder.of("small", tmp_path).journal) == records


def test_a_study_that_began_on_the_cpu_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_on("cpu", tmp_path)
    asked = []

    def choose_devices(settings):
        asked.append(settings.device)
        return Devices("cpu")

    monkeypatch.setattr(running, "choose_devices", choose_devices)
    run(tmp_path)
    assert asked == ["cpu"]
