"""MLflow holds what the journal holds: each run, parameter, metric and end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from archsearch.application.syncing import sync_mlflow
from archsearch.journal import StudyHistory, TrialHistory
from tests.application.conftest import RunStudy
from tests.tracking.store_content import read_content

pytestmark = pytest.mark.slow

ENDS = {"complete": "FINISHED", "repeated": "FINISHED", "failed": "FAILED"}


@pytest.fixture(params=["searched", "swept"])
def study(request: pytest.FixtureRequest) -> RunStudy:
    return request.getfixturevalue(request.param)


def content(study: RunStudy) -> dict[str, Any]:
    return read_content(study.uri, study.history().header["uid"])


def asked_params(trial: TrialHistory) -> dict[str, Any]:
    groups = {"training.": trial.training, "data.": trial.data}
    dotted = {prefix + name: value for prefix, group in groups.items() for name, value in group.items()}
    return {**trial.architecture, **dotted}


def expected_runs(history: StudyHistory) -> set[str]:
    several = [trial for trial in history.trials.values() if len(trial.seeds) > 1]
    return {
        "study",
        *(f"trial {number}" for number in history.trials),
        *(f"replicate {trial.number} {seed}" for trial in several for seed in trial.seeds),
    }


def test_there_is_a_run_for_the_study_each_trial_and_each_of_several_seeds(study: RunStudy) -> None:
    runs = content(study)

    assert set(runs) == expected_runs(study.history())
    for name, run in runs.items():
        kind, *place = name.split()
        parent = {"study": None, "trial": "study", "replicate": f"trial {place[0] if place else ''}"}[kind]
        assert run["tags"].get("mlflow.parentRunId") == parent


def test_every_field_of_architecture_training_and_data_is_a_parameter(study: RunStudy) -> None:
    runs = content(study)

    for trial in study.history().trials.values():
        params = runs[f"trial {trial.number}"]["params"]
        for name, value in asked_params(trial).items():
            if value == "":
                continue
            shown = params[name]
            assert (shown if isinstance(value, str) else json.loads(shown)) == value, name
        assert params.get("requested_depth") == (trial.requested_depth and str(trial.requested_depth))


def test_the_metrics_are_those_of_the_journal(study: RunStudy) -> None:
    runs = content(study)

    for trial in study.history().trials.values():
        run = runs[f"trial {trial.number}"]
        metrics = {name: float(value) for name, value in run["metrics"].items()}
        expected = {
            "depth": trial.architecture["depth"],
            "parameters": trial.parameters,
            "macs": trial.macs,
            **trial.metrics,
        }
        assert metrics == {**metrics, **expected}
        tests = [replicate.test for replicate in trial.replicates.values() if replicate.test]
        for name in tests[0] if tests else ():
            assert metrics[name] == pytest.approx(sum(test[name] for test in tests) / len(tests))
        assert run["tags"]["archsearch.outcome"].partition(":")[0] == trial.outcome
        for seed, replicate in trial.replicates.items() if len(trial.seeds) > 1 else ():
            own = runs[f"replicate {trial.number} {seed}"]["points"]
            for name in ("train_loss", "val_accuracy"):
                epochs = [float(value) for _, _, value in own[name]]
                assert epochs == [epoch[name] for epoch in replicate.epochs]


def test_every_run_ends_as_its_trial_did(study: RunStudy) -> None:
    runs = content(study)

    assert runs["study"]["status"] == "FINISHED"
    for trial in study.history().trials.values():
        assert runs[f"trial {trial.number}"]["status"] == ENDS.get(trial.outcome, "KILLED")
    replicates = [run for name, run in runs.items() if name.startswith("replicate")]
    assert {run["status"] for run in replicates} == {"FINISHED"}


def test_syncs_change_no_row(searched: RunStudy) -> None:
    before = content(searched)

    answers = [searched.call("sync", "searched", "--json") for _ in range(2)]

    assert [answer.code for answer in answers] == [0, 0]
    assert answers[0].json["runs"] == len(before)
    assert content(searched) == before


def test_sync_fills_another_store_with_the_same(swept: RunStudy) -> None:
    uri = f"sqlite:///{swept.folder / 'other.db'}"

    answer = swept.call("sync", "swept", "--uri", uri)

    assert answer.code == 0
    assert answer.out.startswith("MLflow holds 16 runs of swept (experiment 1).\n")
    assert read_content(uri, swept.history().header["uid"]) == content(swept)


def stored_page(study: RunStudy) -> str:
    client = MlflowClient(study.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    kind = "tags.`archsearch.kind` = 'study'"
    uid = f"tags.`archsearch.study_uid` = '{study.uid}'"
    (run,) = client.search_runs(experiments, f"{kind} and {uid}")
    return Path(client.download_artifacts(run.info.run_id, "report/report.html")).read_text()


def test_the_studys_run_has_the_report_and_opens_with_its_conclusion(study: RunStudy) -> None:
    note = content(study)["study"]["tags"]["mlflow.note.content"]
    conclusion = (study.run_folder.report / "conclusion.md").read_text()

    assert conclusion.startswith("- **block=")
    said, *pictures = conclusion.split("\n\n")
    assert note.startswith(said)
    assert len(pictures) > 1
    assert note.count("](get-artifact?run_uuid=ID&path=report/small/") == len(pictures)
    assert stored_page(study) == (study.run_folder.report / "report.html").read_text()


def test_a_report_that_was_changed_is_made_again_in_mlflow_too(swept: RunStudy) -> None:
    page = swept.run_folder.report / "report.html"
    made, before = page.read_text(), content(swept)
    page.write_text("another")
    assert sync_mlflow(swept.run_folder, swept.uri).state == "done"
    assert stored_page(swept) == "another"

    assert swept.call("sync", "swept").code == 0
    assert page.read_text() == stored_page(swept) == made
    assert content(swept) == before
