"""The same study, seeds and threads give the same numbers, and each training says what it ran under."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from archsearch.analysis import read_curves
from archsearch.analysis.frames import load_frames
from archsearch.application import running
from archsearch.application.provenance import describe_provenance, find_processor
from archsearch.application.running import Outcome, run_study
from archsearch.journal import Journal, RunFolder, read_journal
from archsearch.study import parse_study
from archsearch.training.values import Compute
from tests.application.conftest import RunStudy
from tests.command_line import call
from tests.tracking.store_content import read_content

STUDY = """
name: small
data: {name: digits, train_limit: 128}
architecture: {width: 3}
sweep: {depth: [8, 14]}
seeds: 2
training: {epochs: 2, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""
MEASURED = {"images_per_s", "train_time_s", "peak_memory_mib", "latency_ms"}


@pytest.fixture
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks how fast anything is."""
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told"))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study was run once, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told"))
        run(folder / "runs")
    return folder


@pytest.fixture
def trained(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun / "runs", tmp_path / "runs")
    return tmp_path


def run(folder: Path, text: str = STUDY, said: list[str] | None = None) -> Outcome:
    say = (said if said is not None else []).append
    return run_study(parse_study(text, "small.yaml"), runs_folder=folder, say=say)


def numbers(folder: Path) -> dict[str, object]:
    history = RunFolder.of("small", folder).history()
    return {
        f"{trial.number} {seed}": [
            {name: value for name, value in metrics.items() if name not in MEASURED}
            for metrics in (*replicate.epochs, replicate.metrics, replicate.test)
        ]
        for trial in history.trials.values()
        for seed, replicate in trial.replicates.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", ["", ", deterministic: true"])
def test_the_same_study_gives_the_same_numbers_whatever_runs_it(
    arithmetic: None, tmp_path: Path, deterministic: str
) -> None:
    text = STUDY.replace("precision: '32'", f"precision: '32'{deterministic}")
    workers = text.replace("{executor: inline}", "{executor: local, workers: 2}")
    for place, study in (("inline", text), ("again", text), ("local", workers)):
        run(tmp_path / place, study)

    found = [numbers(tmp_path / place) for place in ("inline", "again", "local")]
    assert set(found[0]) == {"0 0", "0 1", "1 0", "1 1"}
    assert found[0] == found[1] == found[2]


def begun_elsewhere(folder: Path) -> None:
    """Have the journal say that its first session ran with another torch on another processor."""
    path = RunFolder.of("small", folder).journal
    records = read_journal(path)
    path.unlink()
    with Journal.open(path) as journal:
        for record in records:
            fields = dict(record.fields)
            if record.kind == "session":
                fields["versions"] = {**fields["versions"], "torch": "2.0.0"}
                fields |= {"device_name": "Processor Z", "host": "elsewhere", "commit": ""}
            journal.append(record.kind, **{k: v for k, v in fields.items() if k != "version"})


def test_a_study_that_goes_on_under_other_versions_says_so(trained: Path) -> None:
    runs = trained / "runs"
    begun_elsewhere(runs)
    torch, said = importlib.metadata.version("torch"), []

    history = run(runs, STUDY.replace("seeds: 2", "seeds: 3"), said).history

    (warning,) = [text for text in said if "other conditions" in text]
    assert f"torch 2.0.0, now {torch}" in warning
    assert f"device Processor Z, now {find_processor()}" in warning
    (curve,) = read_curves(history)
    assert (
        f"Trainings ran under different versions or devices, torch: 2.0.0 and {torch}." in curve.results.notes
    )
    table = load_frames("small", runs).replicates.set_index(["trial", "seed"])
    assert [table.loc[(0, seed), "torch"] for seed in range(3)] == ["2.0.0", "2.0.0", torch]
    assert [table.loc[(0, seed), "host"] for seed in (0, 1)] == ["elsewhere"] * 2
    assert table.loc[(1, 2), "device"] == find_processor()


def test_a_study_that_goes_on_as_before_says_nothing(trained: Path) -> None:
    said: list[str] = []

    history = run(trained / "runs", STUDY.replace("seeds: 2", "seeds: 3"), said).history

    assert len(history.sessions) == 2
    assert not [text for text in said if "conditions" in text]
    assert not [note for curve in read_curves(history) for note in curve.results.notes if "versions" in note]


def test_mlflow_says_what_each_training_ran_under(swept: RunStudy) -> None:
    runs, header = read_content(swept.uri, swept.uid), swept.history().header

    for name, found in runs.items():
        if name == "study":
            continue
        tags = found["tags"]
        assert tags["archsearch.device"] == find_processor()
        assert f"torch {importlib.metadata.version('torch')}" in tags["archsearch.versions"]
        assert tags["archsearch.data_fingerprint"] == header["data_fingerprint"]


def test_the_commit_is_that_of_the_checkout() -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)

    assert describe_provenance("cpu")["commit"] == done.stdout.strip()


def test_a_trial_that_is_trained_again_is_identical_and_its_journal_untouched(trained: Path) -> None:
    folder = RunFolder.of("small", trained / "runs")
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}

    answer = call("reproduce", "small", "--trial", 1, "--json", cwd=trained)

    assert answer.code == 0, answer.out
    found = answer.json["replicates"]
    assert [(item["trial"], item["seed"], item["verdict"]) for item in found] == [
        (1, 0, "identical"),
        (1, 1, "identical"),
    ]
    assert all(item["weights"] == 0.0 and item["weights_kept"] and item["changed"] == {} for item in found)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


def test_what_was_recorded_otherwise_is_different_and_says_where(trained: Path) -> None:
    begun_elsewhere(trained / "runs")
    path = RunFolder.of("small", trained / "runs").journal
    records = read_journal(path)
    path.unlink()
    with Journal.open(path) as journal:
        for record in records:
            fields = {name: value for name, value in record.fields.items() if name != "version"}
            if record.kind == "epoch" and (fields["trial"], fields["seed"], fields["epoch"]) == (0, 1, 1):
                fields["metrics"] = {**fields["metrics"], "val_loss": 7.0}
            journal.append(record.kind, **fields)

    answer = call("reproduce", "small", "--trial", 0, "--seed", 1, cwd=trained)

    assert answer.code == 1
    assert "Trial 0, seed 1: different" in answer.out
    assert "First difference: epoch 2, val_loss: recorded 7, again " in answer.out
    assert f"Not as then: torch was 2.0.0, is {importlib.metadata.version('torch')}." in answer.out
    assert "Weights: the same, bit for bit." in answer.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trial", 9], "--trial: must be a trial of the study, got 9. It has trials 0 to 1."),
        (["--trial", 0, "--seed", 5], "--seed: must be a seed of the trial, got 5. It has seeds 0, 1."),
    ],
)
def test_what_was_never_trained_cannot_be_reproduced(
    trained: Path, arguments: list[object], message: str
) -> None:
    answer = call("reproduce", "small", *arguments, cwd=trained)

    assert (answer.code, answer.err) == (2, f"archsearch: {message}\n")


@pytest.mark.slow
def test_every_kind_of_ending_is_reproduced(searched: RunStudy) -> None:
    trials = searched.history().trials.values()
    first = {outcome: next(t for t in trials if t.outcome == outcome) for outcome in ("pruned", "failed")}
    for trial in first.values():
        answer = searched.call("reproduce", "searched", "--trial", trial.number, "--json")
        assert answer.code == 0, answer.out
        assert {item["verdict"] for item in json.loads(answer.out)["replicates"]} == {"identical"}
    infeasible = next(trial for trial in trials if trial.outcome == "infeasible")
    answer = searched.call("reproduce", "searched", "--trial", infeasible.number)
    assert answer.code == 2
    assert "must be a trial of which a training has ended" in answer.err


@pytest.mark.slow
def test_what_was_packed_is_packed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "decide_compute", lambda *_: Compute(reason="as told", pack=3))
    run(tmp_path / "runs", STUDY.replace("seeds: 2", "seeds: 3"))

    answer = call("reproduce", "small", "--trial", 0, "--seed", 1, "--json", cwd=tmp_path)

    (item,) = answer.json["replicates"]
    assert (answer.code, item["verdict"], item["packed"]) == (0, "identical", [0, 1, 2])
