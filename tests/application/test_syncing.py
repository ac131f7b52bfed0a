"""`archsearch sync` makes again what a journal is the source of: report, MLflow and the copy for Optuna."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from archsearch.journal import RunFolderLock
from tests.application.conftest import RunStudy, run_study_in
from tests.services import read_trials
from tests.tracking.store_content import read_content

pytestmark = pytest.mark.slow

STUDY = """
name: stored
data: {name: digits, train_limit: 64}
architecture: {layout: mlp, width: 4}
sweep: {block: [plain, residual]}
search: {depth: [3, 5], training.learning_rate: {low: 0.01, high: 0.5, log: true}}
trials: 3
seeds: 1
training: {epochs: 2, batch_size: 64, precision: '32'}
pruner: median
execution: {executor: inline}
tracking: {optuna: 'sqlite:///optuna.db'}
"""
CELLS = ("block=plain", "block=residual")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStudy:
    folder = tmp_path_factory.mktemp("stored")
    shutil.copy(empty_store, folder / "mlflow.db")
    return run_study_in(folder, STUDY)


def what_stands_in(study: RunStudy) -> dict[str, Any]:
    """All that was made from the journal."""
    url = f"sqlite:///{study.folder / 'optuna.db'}"
    return {
        "report": {
            str(path.relative_to(study.run_folder.report)): path.read_bytes()
            for path in study.run_folder.report.rglob("*")
            if path.is_file()
        },
        "mlflow": read_content(study.uri, study.uid),
        "optuna": {
            cell: [
                (one.user_attrs, one.state, one.values, one.params, one.intermediate_values)
                for one in read_trials(url, f"stored/{cell}")
            ]
            for cell in CELLS
        },
    }


def test_all_stores_of_a_finished_study_are_made_again_and_not_twice(
    stored: RunStudy, empty_store: Path
) -> None:
    before = what_stands_in(stored)
    shutil.rmtree(stored.run_folder.report)
    shutil.copy(empty_store, stored.folder / "mlflow.db")
    (stored.folder / "optuna.db").unlink()

    first = stored.call("sync", "stored")
    again = what_stands_in(stored)
    second = stored.call("sync", "stored")

    assert (first.code, first.err) == (second.code, second.err) == (0, "")
    assert first.out == second.out
    assert "Optuna's storage holds 6 trials of it." in first.out
    assert [len(trials) for trials in before["optuna"].values()] == [3, 3]
    for store in before:
        assert again[store] == before[store], store
    assert what_stands_in(stored) == before


def test_while_a_run_works_on_it_mlflow_alone_is_synced(stored: RunStudy) -> None:
    page = stored.run_folder.report / "report.html"
    page.write_text("of the run")

    with RunFolderLock(stored.run_folder.path):
        answer = stored.call("sync", "stored", "--json")

    assert page.read_text() == "of the run"
    assert (answer.json["report"], answer.json["optuna_trials"]) == (None, None)
    assert answer.json["runs"] == len(read_content(stored.uri, stored.uid))


def test_a_storage_that_does_not_answer_is_an_error_without_its_password(stored: RunStudy) -> None:
    file = stored.folder / "elsewhere.yaml"
    storage = "postgresql+psycopg://me:s3cr3t@127.0.0.1:9/optuna"
    file.write_text(STUDY.replace("sqlite:///optuna.db", storage))

    answer = stored.call("sync", file.name)

    assert answer.code == 1
    assert (
        "Optuna's storage at postgresql+psycopg://me:***@127.0.0.1:9/optuna could not be written"
        in answer.err
    )
    assert "the same command goes on from here" in answer.err
    assert "s3cr3t" not in answer.out + answer.err


def test_what_optuna_needs_a_password_for_is_said_and_the_rest_is_synced(stored: RunStudy) -> None:
    kept = stored.run_folder.study.read_text()
    stored.run_folder.study.write_text(kept.replace("sqlite:///optuna.db", "postgresql://me:***@host/optuna"))
    shutil.rmtree(stored.run_folder.report)

    answer = stored.call("sync", "stored")

    stored.run_folder.study.write_text(kept)
    assert answer.code == 2
    assert "tracking.optuna: keeps no passwords, and this one needs one" in answer.err
    assert "give the study's file instead of its name" in answer.err
    assert (stored.run_folder.report / "report.html").is_file()
