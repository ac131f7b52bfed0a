"""Studies whose workers and conductors are killed end with the weights of one that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from archsearch.application import running
from archsearch.application.running import Outcome, run_study
from archsearch.journal import Record, RunFolder, StudyHistory, read_journal
from archsearch.study import parse_study
from archsearch.training.values import Compute
from tests.command_line import call, start

STUDY = """
name: disturbed
data: {name: digits, train_limit: 256}
architecture: {width: 4, drop_path: 0.3}
sweep: {depth: [8, 14]}
seeds: 2
training: {epochs: 8, batch_size: 32, precision: '32', augmentation: crop_flip}
execution: {EXECUTION, checkpoint_every_s: 0}
tracking: {enabled: false}
"""
MEASURED = {"images_per_s", "train_time_s", "peak_memory_mib", "latency_ms"}


def with_execution(execution: str) -> str:
    return STUDY.replace("EXECUTION", execution)


def run(place: Path, execution: str, listen: Callable[[Record], None] = lambda _: None) -> Outcome:
    study = parse_study(with_execution(execution), "study.yaml")
    return run_study(study, runs_folder=place, listen=listen)


def curves(history: StudyHistory) -> dict[tuple[int, int], list[dict[str, float]]]:
    """All that epochs and results hold, but for what a clock or the memory says."""
    return {
        (trial.number, seed): [
            {name: value for name, value in metrics.items() if name not in MEASURED}
            for metrics in (*replicate.epochs, replicate.metrics, replicate.test)
        ]
        for trial in history.trials.values()
        for seed, replicate in trial.replicates.items()
    }


def assert_same(one: RunFolder, other: RunFolder) -> None:
    assert curves(one.history()) == curves(other.history())
    for replicate in curves(one.history()):
        assert one.weights(*replicate).read_bytes() == other.weights(*replicate).read_bytes()


def notes(folder: RunFolder) -> list[str]:
    history = folder.history()
    return [r.note for trial in history.trials.values() for r in trial.replicates.values() if r.note]


@pytest.mark.slow
@pytest.mark.parametrize("pack", [1, 2])
def test_a_worker_killed_in_the_middle_costs_the_present_epoch(
    pack: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(pack=pack, reason="as told"))
    killed: list[int] = []

    def kill_once(record: Record) -> None:
        if record.kind == "epoch" and record.fields["epoch"] == 4 and not killed:
            # workers are children of the fork server
            workers = [p for p in psutil.Process().children(recursive=True) if p.ppid() != os.getpid()]
            killed.append(workers[0].pid)
            workers[0].kill()

    quiet = run(tmp_path / "quiet", "executor: inline")
    disturbed = run(tmp_path / "disturbed", "executor: local, workers: 1", kill_once)

    assert disturbed.counts == {"complete": 2}
    assert_same(disturbed.folder, quiet.folder)
    lost = [r.fields for r in read_journal(disturbed.folder.journal) if r.fields.get("outcome") == "lost"]
    assert len(lost) == pack
    assert len(notes(disturbed.folder)) == pack
    trained = [r.fields for r in read_journal(disturbed.folder.journal) if r.kind == "epoch"]
    # of 4 replicates 8 epochs each, and the last ones before the death perhaps once more
    assert 32 <= len(trained) <= 32 + 2 * pack


# With local workers in tests/faults.
@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_conductor_killed_at_any_moment_costs_the_present_epoch(tmp_path: Path) -> None:
    execution = "executor: inline"
    generator = random.Random(execution)
    quiet, place = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, place):
        folder.mkdir()
        (folder / "study.yaml").write_text(with_execution(execution))
    folder = RunFolder(place / "runs" / "disturbed")
    for _ in range(3):
        before = len(read_journal(folder.journal)) if folder.journal.exists() else 0
        process = start("run", "study.yaml", cwd=place)
        more = generator.randint(6, 14)
        while not folder.journal.exists() or len(read_journal(folder.journal)) < before + more:
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    answers = [call("run", "study.yaml", "--json", cwd=where) for where in (place, quiet)]

    assert [answer.json["trials"] for answer in answers] == [{"complete": 2}] * 2
    assert_same(folder, RunFolder(quiet / "runs" / "disturbed"))
    assert any(note.startswith("went on after epoch") for note in notes(folder))
    assert list((folder.path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_study_keeps_what_its_answer_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told"))
    search = STUDY.replace("sweep:", "search:").replace("seeds: 2", "trials: 3\nsampler: random")
    search = search.replace(
        "{depth: [8, 14]}", "{depth: [8, 14], training.learning_rate: {low: 0.01, high: 0.2}}"
    )
    runs = tmp_path / "runs"
    for keep in ("best", "none"):
        text = search.replace("EXECUTION", f"executor: inline, keep: {keep}").replace("disturbed", keep)
        outcome = run_study(parse_study(text, "study.yaml"), runs_folder=runs)
        best = outcome.best[0]
        others = [trial.number for trial in outcome.history.trials.values() if trial.number != best.number]
        exported = call("export", keep, "--output", f"exported-{keep}", cwd=tmp_path)
        lesion = call("lesion", keep, "--json", "--draws", 1, "--pairs", 1, cwd=tmp_path)
        refused = call("export", keep, "--trial", others[0], "--output", "x", cwd=tmp_path)
        assert refused.code == 2
        assert f"must hold the weights of trial {others[0]}, which were not kept" in refused.err
        # the test set was read while the weights were there
        assert best.replicates[0].test["test_error"] < 0.9
        if keep == "best":
            assert (exported.code, lesion.code) == (0, 0), exported.err + lesion.err
            assert [network["trial"] for network in lesion.json["networks"]] == [best.number]
        else:
            assert (exported.code, lesion.code) == (2, 2)
            assert "which were not kept" in lesion.err
