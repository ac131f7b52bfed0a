"""`archsearch run` on real images: what stands on disk and is answered; a second run changes nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from archsearch.architecture import resolve_architecture
from archsearch.journal import read_journal
from tests.application.conftest import SEARCH, RunStudy
from tests.tracking.store_content import read_content

pytestmark = pytest.mark.slow

KINDS = ("searched", "swept")


@pytest.fixture(params=KINDS)
def study(request: pytest.FixtureRequest) -> RunStudy:
    return request.getfixturevalue(request.param)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    # `.mirror` says whose turn it was to write to MLflow last, and each run's mirror has a turn.
    left_out = ("report", ".mirror")
    paths = (path for path in folder.rglob("*") if path.is_file() and not {*left_out} & {*path.parts})
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_it_ends_with_one_json_object_and_says_the_rest_on_standard_error(study: RunStudy) -> None:
    answer, history = study.answer, study.history()

    assert answer.code == 0
    assert answer.json["study"] == study.name
    assert answer.json["run_folder"] == f"runs/{study.name}"
    assert answer.json["trials"] == Counter(trial.outcome for trial in history.trials.values())
    assert answer.json["mlflow"] == {"uri": "sqlite:///mlflow.db", "experiment_id": "1"}
    assert f"trial {max(history.trials):>3}  " in answer.err


def test_every_outcome_is_counted(searched: RunStudy, swept: RunStudy) -> None:
    # The study is made so that all of them occur; of twelve combinations two are too large.
    counts = searched.answer.json["trials"]
    assert set(counts) == {"complete", "failed", "infeasible", "pruned"}
    assert (counts["infeasible"], sum(counts.values())) == (2, 12 + 1)
    assert swept.answer.json["trials"] == {"complete": 4 + 1}


def test_the_best_is_the_one_whose_seeds_are_best_on_average(searched: RunStudy, swept: RunStudy) -> None:
    for study, objective, choose in ((searched, "val_accuracy", max), (swept, "val_error", min)):
        trials = study.history().trials.values()
        answering = [t for t in trials if t.phase != "search" and t.outcome == "complete"]
        means = {
            t.number: sum(r.metrics[objective] for r in t.replicates.values()) / len(t.replicates)
            for t in answering
        }
        best = study.answer.json["best"]
        assert best["value"] == pytest.approx(choose(means.values()))
        assert means[best["trial"]] == pytest.approx(best["value"])
        described = resolve_architecture(best["architecture"])
        assert described.id == study.history().trials[best["trial"]].architecture_id


def test_the_run_folder_holds_study_journal_and_the_weights_of_what_ended_well(study: RunStudy) -> None:
    folder, history = study.run_folder, study.history()
    complete = {
        folder.weights(trial.number, seed)
        for trial in history.trials.values()
        for seed, replicate in trial.replicates.items()
        if replicate.outcome == "complete" and replicate.repeated_of is None
    }

    assert folder.study.read_text() == (study.folder / f"{study.name}.yaml").read_text()
    assert set((folder.path / "weights").iterdir()) == complete
    assert not (folder.path / "holder.json").exists()


def test_the_journal_tells_it_in_order(study: RunStudy) -> None:
    records = read_journal(study.run_folder.journal)
    kinds = [record.kind for record in records]

    assert kinds[:4] == ["study", "question", "compute", "session"]
    assert kinds[-1] == "finished"
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    trials = [record.fields["trial"] for record in records if record.kind == "trial"]
    told = [record.fields["trial"] for record in records if record.kind == "told"]
    assert trials == sorted(set(trials))
    assert sorted(told) == trials


def test_the_confirmation_trains_the_best_of_the_search_under_fresh_seeds(searched: RunStudy) -> None:
    trials = searched.history().trials
    search = [t for t in trials.values() if t.phase == "search" and t.outcome == "complete"]
    best = max(search, key=lambda trial: trial.replicates[0].metrics["val_accuracy"])
    (confirmation,) = [trial for trial in trials.values() if trial.phase == "confirm"]

    assert confirmation.architecture_id == best.architecture_id
    assert confirmation.training == best.training
    assert set(best.replicates) == {0}
    assert set(confirmation.replicates) == {1, 2}


def test_the_test_set_is_read_for_what_is_reported_and_nothing_else(
    searched: RunStudy, swept: RunStudy
) -> None:
    def tested(study: RunStudy) -> set[tuple[str, int]]:
        trials = study.history().trials.values()
        return {(t.phase, seed) for t in trials for seed, r in t.replicates.items() if r.test}

    assert tested(searched) == {("confirm", 1), ("confirm", 2)}
    assert tested(swept) == {(phase, seed) for phase in ("include", "sweep") for seed in (0, 1)}


def test_a_second_run_trains_nothing_and_changes_nothing(searched: RunStudy) -> None:
    before, rows = files(searched.run_folder.path), read_content(searched.uri, searched.uid)

    again = searched.call("run", "searched.yaml", "--json")

    assert again.json == searched.answer.json
    assert "trial" not in again.err
    assert read_content(searched.uri, searched.uid) == rows
    assert files(searched.run_folder.path) == before


def test_what_is_printed_ends_with_the_confirmed_and_below_them_the_searched(searched: RunStudy) -> None:
    answer = searched.call("run", "searched.yaml", "--runs-dir", searched.folder / "runs")
    trials = searched.history().trials
    search = [t for t in trials.values() if t.phase == "search" and t.outcome == "complete"]
    search.sort(key=lambda trial: -trial.objective_values[0])

    confirmed, found = answer.out.split("Best of its search")
    assert "Best of searched, trained again under 2 fresh seeds" in confirmed
    assert confirmed.count("residual-8 w4 pad") == 1
    assert "±" in confirmed
    shown = [line for line in found.splitlines()[2:] if line[:1].isdigit()]
    assert [int(line.split()[1]) for line in shown] == [trial.number for trial in search]
    assert f"{search[0].objective_values[0]:.2%}" in shown[0]
    assert "Trials: 5 complete, 5 failed, 2 infeasible, 1 pruned." in found
    option = f"--runs-dir {searched.folder / 'runs'}"
    assert f"Export:      archsearch export searched --output exported/searched {option}" in found
    assert "\x1b" not in answer.out


def test_another_study_of_the_same_name_is_refused_and_touches_nothing(searched: RunStudy) -> None:
    before = files(searched.run_folder.path)
    (searched.folder / "other.yaml").write_text(SEARCH.replace("epochs: 2", "epochs: 3"))

    answer = searched.call("run", "other.yaml")

    assert answer.code == 2
    assert "training.epochs" in answer.err
    assert "new name" in answer.err
    assert files(searched.run_folder.path) == before
