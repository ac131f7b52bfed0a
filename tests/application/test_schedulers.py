"""Studies whose scheduler pauses trainings, really trained: what is said of them, and what a kill costs."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from archsearch.application.running import run_study
from archsearch.journal import RunFolder, read_journal
from archsearch.study import parse_study
from tests.application.test_resuming import curves
from tests.command_line import call, start

# Inline, so that what is proposed does not depend on who ended first.
STUDY = """
name: scheduled
data: {name: digits, train_limit: 128}
architecture: {layout: mlp, width: 8}
search:
  depth: [3, 5]
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 12
seeds: 1
scheduler: asha
training: {epochs: 9, batch_size: 64, precision: '32', schedule: wsd}
execution: {executor: inline, checkpoint_every_s: 0}
tracking: {enabled: false}
"""
SCHEDULES = pytest.mark.parametrize(
    ("schedule", "warned_of"), [("one_cycle", ["one_cycle"]), ("cosine", ["cosine"]), ("wsd", [])]
)


def with_schedule(schedule: str) -> str:
    return STUDY.replace("schedule: wsd", f"schedule: {schedule}").replace("trials: 12", "trials: 1")


def read_warnings(text: str) -> list[str]:
    """The schedules that are said to move the rate all the time."""
    assert text.count("Scheduler asha: a paused training goes on exactly") == text.count("moves the rate")
    return re.findall(r"But (.+?) moves the rate from the first epoch to the last", " ".join(text.split()))


@SCHEDULES
def test_a_plan_warns_of_a_schedule_that_is_paused_before_its_rate_has_come_down(
    schedule: str, warned_of: list[str], tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(with_schedule(schedule))
    said = call("plan", "study.yaml", cwd=tmp_path)
    assert said.code == 0, said.err
    assert read_warnings(said.out) == warned_of


def test_a_plan_names_the_schedules_that_a_search_tries(tmp_path: Path) -> None:
    searched = STUDY.replace("  depth:", "  training.schedule: [wsd, cosine, one_cycle]\n  depth:")
    (tmp_path / "study.yaml").write_text(searched.replace(", schedule: wsd", ""))
    assert read_warnings(call("plan", "study.yaml", cwd=tmp_path).out) == ["cosine and one_cycle"]
    (tmp_path / "study.yaml").write_text(with_schedule("cosine").replace("asha", "none"))
    assert "cosine moves" not in call("plan", "study.yaml", cwd=tmp_path).out


@SCHEDULES
@pytest.mark.usefixtures("unreported")
def test_a_run_warns_of_the_same(schedule: str, warned_of: list[str], tmp_path: Path) -> None:
    said: list[str] = []
    run_study(parse_study(with_schedule(schedule), "study.yaml"), runs_folder=tmp_path, say=said.append)
    assert read_warnings("\n".join(said)) == warned_of


def count_pauses(folder: RunFolder) -> int:
    records = read_journal(folder.journal) if folder.journal.exists() else []
    return sum(record.fields.get("outcome") == "paused" for record in records)


def decisions(folder: RunFolder) -> list[tuple[object, ...]]:
    return [
        (trial.number, dict(trial.values), trial.outcome, trial.reason, len(trial.replicates[0].epochs))
        for trial in folder.history().trials.values()
        if trial.phase == "search"
    ]


def read_weights(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.weights(0, 0).parent.iterdir()}


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_study_killed_after_pauses_decides_and_trains_as_one_that_nobody_disturbed(tmp_path: Path) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for place in (quiet, killed):
        place.mkdir()
        (place / "study.yaml").write_text(STUDY)
    undisturbed, disturbed = (RunFolder(place / "runs" / "scheduled") for place in (quiet, killed))
    process = start("run", "study.yaml", cwd=killed)
    while count_pauses(disturbed) < 5:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert disturbed.history().finished is None

    for place in (killed, quiet):
        assert call("run", "study.yaml", cwd=place).code == 0

    assert count_pauses(undisturbed) > 10
    assert {outcome for _, _, outcome, _, _ in decisions(undisturbed)} == {"complete", "pruned"}
    assert decisions(disturbed) == decisions(undisturbed)
    assert curves(disturbed.history()) == curves(undisturbed.history())
    assert read_weights(disturbed) == read_weights(undisturbed) != {}
