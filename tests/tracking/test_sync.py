"""MLflow holds what the journal says, once, however often and in whatever pieces it was brought there."""

import time

import pytest
from mlflow.tracking import MlflowClient

from archsearch.errors import JournalError, RunFolderError, TrackingError
from archsearch.journal import RunFolderLock
from archsearch.tracking import sync
from archsearch.tracking.mirror import Mirror
from tests.tracking.store_content import read_content
from tests.tracking.studies import START, Study, steps_of_a_varied_study, varied_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def synced(tmp_path_factory, empty_store):
    """Run folder and URI of a varied study that was synced once."""
    root = tmp_path_factory.mktemp("synced")
    (root / "mlflow.db").write_bytes(empty_store.read_bytes())
    uri = f"sqlite:///{root / 'mlflow.db'}"
    varied_study(root / "depth")
    sync(root / "depth", uri)
    return root / "depth", uri


@pytest.fixture(scope="module")
def content(synced):
    return read_content(synced[1])


def metrics(run):
    return {name: float(value) for name, value in run["metrics"].items()}


def test_there_is_a_run_for_the_study_each_trial_and_each_replicate_of_several(content):
    trials = [f"trial {number}" for number in range(6)]
    assert sorted(content) == sorted(["study", *trials, "replicate 5 1", "replicate 5 2", "replicate 5 3"])
    assert {content[trial]["tags"]["mlflow.parentRunId"] for trial in trials} == {"study"}
    assert content["replicate 5 2"]["tags"]["mlflow.parentRunId"] == "trial 5"


def test_names_can_be_read(content):
    assert content["study"]["name"] == "depth"
    assert content["trial 0"]["name"] == "residual-20 w16 pad #0"
    assert content["replicate 5 2"]["name"] == "residual-20 w16 pad #5 · seed 2"


def test_ends_and_outcomes(content):
    ends = {key: (run["status"], run["tags"].get("archsearch.outcome")) for key, run in content.items()}
    assert ends == {
        "study": ("FINISHED", None),
        "trial 0": ("FINISHED", "complete"),
        "trial 1": ("KILLED", "pruned"),
        "trial 2": ("KILLED", "infeasible"),
        "trial 3": ("FAILED", "failed: loss became NaN"),
        "trial 4": ("FINISHED", "repeated"),
        "trial 5": ("FINISHED", "complete"),
        "replicate 5 1": ("FINISHED", "complete"),
        "replicate 5 2": ("FINISHED", "complete"),
        "replicate 5 3": ("FINISHED", "complete"),
    }
    assert content["trial 2"]["tags"]["archsearch.reason"] == "parameters is 1056, must be at most 1000"
    assert content["trial 4"]["tags"]["archsearch.repeated_of"] == "0"


def test_times_are_the_journals(content):
    assert content["study"]["start"] == START * 1000
    assert content["trial 0"]["start"] == START * 1000 + 500
    assert content["trial 0"]["points"]["train_loss"] == [
        (0, START * 1000 + 1000, "0.5"),
        (1, START * 1000 + 1250, "0.25"),
    ]
    assert content["trial 0"]["end"] == START * 1000 + 1750


def test_params_are_bare_for_the_architecture_and_dotted_for_the_rest(content):
    assert content["trial 0"]["params"] == {
        "block": "residual",
        "depth": "20",
        "blocks": "[3, 3, 3]",
        "bottleneck": "false",
        "requested_depth": "21",
        "training.epochs": "2",
        "training.learning_rate": "0.1",
        "training.milestones": "[0.5, 0.75]",
        "data.name": "digits",
    }
    assert content["replicate 5 1"]["params"] == content["trial 5"]["params"]


def test_data_stand_at_each_run_once(content):
    assert {tuple(run["data"]) for run in content.values()} == {(("digits", "5e0f" * 3),)}


def test_tags_say_where_a_run_belongs(content):
    tags = content["trial 5"]["tags"]
    assert tags["archsearch.study"] == "depth"
    assert tags["archsearch.study_uid"] == "uid-1"
    assert tags["archsearch.cell"] == "block=residual depth=20"
    assert tags["archsearch.phase"] == "confirm"
    assert tags["archsearch.architecture_id"] == "v1:20"
    assert content["trial 0"]["tags"]["archsearch.seed"] == "0"
    assert "archsearch.seed" not in tags
    assert content["replicate 5 3"]["tags"]["archsearch.seed"] == "3"


def test_metrics_at_the_end_are_the_journals(content):
    assert metrics(content["trial 0"]) == {
        "depth": 20,
        "parameters": 1020,
        "macs": 10**10 + 20,
        "train_loss": 0.25,
        "val_loss": 0.5,
        "val_error": 0.025,
        "images_per_s": 100,
        "train_error": 0.01,
        "train_time_s": 3.5,
    }
    assert metrics(content["trial 2"]) == {"depth": 56, "parameters": 1056, "macs": 10**10 + 56}
    assert content["trial 3"]["metrics"]["train_loss"] == "nan"
    assert metrics(content["replicate 5 2"])["test_error"] == 0.02


def test_a_trial_with_several_seeds_carries_means_and_deviations(content):
    trial = metrics(content["trial 5"])
    assert trial["val_error"] == pytest.approx(0.025)
    assert trial["val_error_std"] == pytest.approx(0.0125)
    assert trial["test_error"] == pytest.approx(0.02)
    assert trial["test_error_std"] == pytest.approx(0.01)
    curve = [(step, float(value)) for step, _, value in content["trial 5"]["points"]["train_loss"]]
    assert curve == [(0, pytest.approx(0.5)), (1, pytest.approx(0.25))]


def test_a_replicate_trained_again_has_one_run_and_each_epoch_once(content):
    curve = [(step, float(value)) for step, _, value in content["replicate 5 2"]["points"]["train_loss"]]
    assert curve == [(0, 0.25), (1, 0.125)]
    assert "archsearch.reason" not in content["replicate 5 2"]["tags"]


def test_syncing_again_changes_nothing(synced, content, monkeypatch):
    folder, uri = synced
    written = []
    methods = ("create_run", "log_batch", "log_inputs", "set_terminated", "update_run", "create_experiment")
    for method in methods:
        monkeypatch.setattr(MlflowClient, method, lambda *_, name=method, **__: written.append(name))
    sync(folder, uri)
    assert written == []
    monkeypatch.undo()
    assert read_content(uri) == content


@pytest.mark.parametrize("every", [1, 2, 5])
def test_following_gives_what_reading_the_finished_journal_gives(folder, uri, content, every):
    mirror = Mirror(folder, uri)
    for number, _ in enumerate(steps_of_a_varied_study(Study(folder))):
        if number % every == 0:
            mirror.catch_up()
    mirror.catch_up()

    assert read_content(uri) == content


def test_data_are_written_once_however_often_a_run_changes(folder, uri, content, monkeypatch):
    written, real = [], MlflowClient.log_inputs
    monkeypatch.setattr(
        MlflowClient, "log_inputs", lambda client, run, data: written.append(run) or real(client, run, data)
    )
    mirror = Mirror(folder, uri)
    for _ in steps_of_a_varied_study(Study(folder)):
        mirror.catch_up()
    mirror.catch_up()
    Mirror(folder, uri).catch_up()
    assert len(written) == len(set(written)) == len(content)


class CrashError(Exception):
    pass


@pytest.mark.parametrize("calls", [0, 1, 2, 5, 13, 34])
def test_a_mirror_that_crashed_anywhere_leaves_nothing_twice(folder, uri, content, calls, monkeypatch):
    varied_study(folder)
    left = [calls]

    def crash_at_last(method):
        real = getattr(MlflowClient, method)

        def call(*arguments, **keywords):
            result = real(*arguments, **keywords)
            left[0] -= 1
            if left[0] < 0:
                raise CrashError
            return result

        return call

    methods = ("create_experiment", "create_run", "log_batch", "log_inputs", "set_terminated", "delete_tag")
    for method in methods:
        monkeypatch.setattr(MlflowClient, method, crash_at_last(method))
    with pytest.raises(CrashError):
        Mirror(folder, uri).catch_up()
    monkeypatch.undo()
    sync(folder, uri)

    assert read_content(uri) == content


class TestOpenRuns:
    @pytest.fixture
    def statuses(self, folder, uri):
        def read():
            return {key: run["status"] for key, run in read_content(uri).items()}

        return read

    def test_are_running_while_somebody_works_on_the_study(self, folder, uri, statuses):
        Study(folder).session().trial(0).started(0).epoch(0, 0, 0.5)
        with RunFolderLock(folder):
            sync(folder, uri)
        assert statuses() == {"study": "RUNNING", "trial 0": "RUNNING"}

    def test_are_closed_when_nobody_does(self, folder, uri, statuses):
        Study(folder).session().trial(0).started(0).epoch(0, 0, 0.5)
        sync(folder, uri)
        assert statuses() == {"study": "KILLED", "trial 0": "KILLED"}

    def test_run_again_when_the_study_is_resumed(self, folder, uri, statuses):
        study = Study(folder).session().trial(0).started(0).add("interrupted", reason="Ctrl-C")
        sync(folder, uri)
        assert statuses() == {"study": "KILLED", "trial 0": "KILLED"}
        study.session().started(0, attempt=2)
        with RunFolderLock(folder):
            sync(folder, uri)
        assert statuses() == {"study": "RUNNING", "trial 0": "RUNNING"}

    def test_do_not_survive_the_end_of_the_study(self, folder, uri, statuses):
        Study(folder).session().trial(0).started(0).add("finished", reason="the budget is spent")
        with RunFolderLock(folder):
            sync(folder, uri)
        assert statuses() == {"study": "FINISHED", "trial 0": "KILLED"}

    def test_that_were_closed_get_the_end_that_comes_later(self, folder, uri):
        study = Study(folder).session().trial(0).started(0).epoch(0, 0, 0.5)
        sync(folder, uri)
        closed = read_content(uri)["trial 0"]
        study.session().started(0, attempt=2).epoch(0, 1, 0.4).told(0, "pruned")
        sync(folder, uri)
        ended = read_content(uri)["trial 0"]
        assert (closed["status"], ended["status"]) == ("KILLED", "KILLED")
        assert ended["end"] - closed["end"] == 4 * 250


def test_seeds_that_are_added_later_give_the_first_one_a_run_of_its_own(folder, uri):
    study = (
        Study(folder)
        .session()
        .trial(0, (1,))
        .started(0, 1)
        .epoch(0, 0, 0.5, 1)
        .replicate(0, seed=1, val_error=0.1)
    )
    study.told(0, val_error=0.1)
    sync(folder, uri)
    study.trial(0, (1, 2)).started(0, 2).epoch(0, 0, 0.25, 2).replicate(0, seed=2, val_error=0.3)
    study.told(0, val_error=0.2).add("finished", reason="done")
    sync(folder, uri)

    content = read_content(uri)
    assert sorted(content) == ["replicate 0 1", "replicate 0 2", "study", "trial 0"]
    assert metrics(content["replicate 0 1"])["train_loss"] == 0.5
    assert metrics(content["replicate 0 1"])["val_error"] == 0.1
    assert metrics(content["trial 0"])["train_loss"] == 0.375
    assert metrics(content["trial 0"])["val_error"] == 0.2
    assert {run["status"] for run in content.values()} == {"FINISHED"}


def test_what_is_too_long_for_mlflow_is_cut(folder, uri):
    study = Study(folder).session().trial(0, note="n" * 7000).started(0).epoch(0, 0, 0.5)
    study.told(0, "failed", "r" * 9000)
    sync(folder, uri)

    run = read_content(uri)["trial 0"]
    assert run["params"]["note"] == "n" * 5999 + "…"
    assert run["tags"]["archsearch.reason"] == "r" * 7999 + "…"


def test_names_that_mlflow_refuses_are_made_fit(folder, uri):
    study = Study(folder).session().trial(0)
    study.add("epoch", trial=0, seed=0, epoch=0, metrics={"val_top@5": 0.5})
    sync(folder, uri)
    assert metrics(read_content(uri)["trial 0"])["val_top_5"] == 0.5


def test_many_points_are_written_in_batches(folder, uri):
    study = Study(folder).session().trial(0).started(0)
    for epoch in range(300):
        study.epoch(0, epoch, 1.0 / (epoch + 1))
    sync(folder, uri)
    assert len(read_content(uri)["trial 0"]["points"]["val_loss"]) == 300


class TestExperiment:
    def test_is_named_like_the_study_and_keeps_to_its_uid(self, tmp_path, uri):
        Study(tmp_path / "a", uid="uid-1").session()
        Study(tmp_path / "b", uid="uid-2").session()
        first, second, again = (sync(tmp_path / name, uri) for name in "aba")
        assert (first.experiment, second.experiment) == ("depth", "depth-2")
        assert again.experiment_id == first.experiment_id

    def test_leaves_one_that_somebody_else_made_alone(self, folder, uri):
        MlflowClient(uri).create_experiment("depth")
        Study(folder).session()
        assert sync(folder, uri).experiment == "depth-2"

    def test_that_was_renamed_is_found_again(self, folder, uri):
        Study(folder).session()
        first = sync(folder, uri)
        MlflowClient(uri).rename_experiment(first.experiment_id, "my favourite")
        again = sync(folder, uri)
        assert (again.experiment_id, again.experiment) == (first.experiment_id, "my favourite")

    def test_that_was_deleted_comes_back(self, folder, uri):
        Study(folder).session()
        first = sync(folder, uri)
        MlflowClient(uri).delete_experiment(first.experiment_id)
        assert sync(folder, uri).experiment_id == first.experiment_id
        assert list(read_content(uri)) == ["study"]

    def test_steps_aside_for_a_deleted_one_of_its_name(self, folder, uri):
        client = MlflowClient(uri)
        client.delete_experiment(client.create_experiment("depth"))
        Study(folder).session()
        assert sync(folder, uri).experiment == "depth-2"


def test_a_deleted_run_is_written_again(folder, uri):
    varied_study(folder)
    status = sync(folder, uri)
    before = read_content(uri)
    client = MlflowClient(uri)
    [run] = client.search_runs([status.experiment_id], "tags.`archsearch.trial` = '0'")
    client.delete_run(run.info.run_id)
    sync(folder, uri)
    assert read_content(uri) == before


def test_a_run_that_was_created_twice_is_there_once(folder, uri):
    varied_study(folder)
    status = sync(folder, uri)
    before = read_content(uri)
    client = MlflowClient(uri)
    # What a server does that carries out a request after its client has stopped waiting.
    for kind in ("study", "trial", "replicate"):
        run = client.search_runs([status.experiment_id], f"tags.`archsearch.kind` = '{kind}'")[0]
        tags = {name: value for name, value in run.data.tags.items() if name != "archsearch.journal_line"}
        client.create_run(status.experiment_id, run.info.start_time, tags, run.info.run_name)
    sync(folder, uri)
    assert read_content(uri) == before


def test_two_who_write_the_same_study_write_it_once(folder, uri, content):
    mirrors = [Mirror(folder, uri), Mirror(folder, uri)]
    for number, _ in enumerate(steps_of_a_varied_study(Study(folder))):
        mirrors[number % 2].catch_up()
    for mirror in mirrors:
        mirror.catch_up()
    assert read_content(uri) == content


def test_a_database_that_does_not_answer_holds_nobody_up(folder):
    varied_study(folder)
    before = time.monotonic()
    with pytest.raises(TrackingError, match="could not be written"):
        sync(folder, "postgresql+psycopg://me@127.0.0.1:9/mlflow")
    assert time.monotonic() - before < 10


def test_a_folder_for_the_store_is_made(folder, tmp_path):
    Study(folder).session()
    sync(folder, f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    assert (tmp_path / "new" / "mlflow.db").exists()


def test_errors_are_one_paragraph_without_passwords(folder, tmp_path, uri):
    with pytest.raises(RunFolderError, match="must hold a journal"):
        sync(folder, uri)
    study = varied_study(folder)
    with pytest.raises(
        TrackingError, match=r"http://me:\*\*\*@127\.0\.0\.1:9 could not be written: .*goes on"
    ) as caught:
        sync(folder, "http://me:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)
    study.journal.close()
    path = folder / "journal.log"
    path.write_bytes(path.read_bytes().replace(b"Ctrl-C", b"Ctrl-D"))
    with pytest.raises(JournalError, match="checksum"):
        sync(folder, uri)
