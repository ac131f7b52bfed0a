"""What is written so that MLflow opens on the answer; that its page understands it, test_browser.py says."""

import asyncio
import base64
import json
import re
import zlib

import pytest
from mlflow.tracking import MlflowClient

from archsearch.tracking import sync, view_link
from archsearch.tracking.colours import run_colour
from archsearch.tracking.pages import WholeStudies, widen
from archsearch.tracking.views import experiment_tags
from tests.tracking.store_content import read_content
from tests.tracking.studies import Study, varied_study

PREFIX = "mlflow.sharedViewState."


def decode(tags):
    views = {name: json.loads(value) for name, value in tags.items() if name.startswith(PREFIX)}
    for view in views.values():
        view["state"] = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    return {name.removeprefix(PREFIX): view for name, view in views.items()}


def views_of(trials, varied=(), objectives=None):
    return decode(experiment_tags(1_000, varied, trials, objectives=objectives or {}))


def parallel_axes(trials, varied=()):
    charts = views_of(trials, varied)["depth-vs-performance"]["state"]["compareRunCharts"]
    [parallel] = [chart for chart in charts if chart["type"] == "PARALLEL"]
    return parallel["selectedParams"]


PLAIN = {"block": "plain", "depth": "8", "width": "16"}
RESIDUAL = {"block": "residual", "depth": "20", "width": "16", "shortcut": "pad"}


def test_the_link_opens_a_view_that_is_written():
    link = view_link("http://127.0.0.1:5000/", "7")
    assert link.startswith("http://127.0.0.1:5000/#/experiments/7/runs?compareRunsMode=CHART&")
    assert re.search("viewStateShareKey=([^&]+)", link)[1] in views_of([])


def test_the_first_view_is_listed_first():
    created = {view["name"]: view["createdAt"] for view in views_of([]).values()}
    latest_first = sorted(created, key=created.get, reverse=True)
    assert latest_first == ["Depth vs performance", "Learning curves", "Leaderboard", "Outcomes"]


def test_parallel_coordinates_have_what_differs_and_every_trial_has():
    assert parallel_axes([PLAIN, RESIDUAL]) == ["block", "depth"]
    assert parallel_axes([RESIDUAL, {**RESIDUAL, "shortcut": "projection"}]) == ["shortcut"]
    searched = [{**PLAIN, "training.learning_rate": rate} for rate in ("0.1", "0.2")]
    assert parallel_axes(searched, ["depth", "training.learning_rate"]) == ["training.learning_rate"]
    assert parallel_axes([PLAIN]) == parallel_axes([]) == ["depth"]


def test_the_table_has_what_is_searched():
    state = views_of([PLAIN], ["depth", "training.learning_rate"])["leaderboard"]["state"]
    assert state["selectedColumns"] == [
        *("metrics.`val_error`", "metrics.`train_error`"),
        *("params.`block`", "params.`depth`", "params.`width`", "params.`shortcut`"),
        "params.`training.learning_rate`",
        *("metrics.`parameters`", "metrics.`macs`", "tags.`archsearch.phase`", "tags.`archsearch.outcome`"),
    ]


@pytest.mark.parametrize(
    ("objectives", "by", "less_is_better", "first_columns"),
    [
        ({}, "val_error", True, ["val_error", "train_error"]),
        ({"val_accuracy": "maximize"}, "val_error", True, ["val_error", "train_error"]),
        (
            {"val_loss": "minimize", "macs": "minimize"},
            "val_loss",
            True,
            ["val_loss", "macs", "val_error", "train_error"],
        ),
        ({"val_auc": "maximize"}, "val_auc", False, ["val_auc", "val_error", "train_error"]),
    ],
)
def test_the_table_is_sorted_by_what_the_study_optimises(objectives, by, less_is_better, first_columns):
    for key in ("depth-vs-performance", "learning-curves", "leaderboard"):
        state = views_of([PLAIN], objectives=objectives)[key]["state"]
        assert (state["orderByKey"], state["orderByAsc"]) == (f"metrics.`{by}`", less_is_better)
    columns = [column for column in state["selectedColumns"] if column.startswith("metrics.")]
    assert columns[: len(first_columns)] == [f"metrics.`{name}`" for name in first_columns]
    assert len(set(columns)) == len(columns)


def test_the_outcomes_are_of_all_trials():
    state = views_of([PLAIN])["outcomes"]["state"]
    assert state["searchFilter"] == "tags.`archsearch.kind` = 'trial'"
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "archsearch.outcome"}]


def test_a_view_fits_into_a_tag():
    many = [f"training.setting_{number}" for number in range(200)]
    # MLflow's own limit for a tag of an experiment.
    tags = experiment_tags(0, many, [PLAIN], objectives={})
    assert all(len(value) < 20_000 for value in tags.values())


class TestSync:
    @pytest.fixture
    def tags(self, folder, uri):
        varied_study(folder)

        def read():
            return MlflowClient(uri).get_experiment(sync(folder, uri).experiment_id).tags

        return read

    def test_writes_the_views_once(self, tags, monkeypatch):
        first, written = tags(), []
        monkeypatch.setattr(MlflowClient, "set_experiment_tag", lambda *given: written.append(given))
        assert tags() == first
        assert written == []
        assert sorted(decode(first)) == ["depth-vs-performance", "leaderboard", "learning-curves", "outcomes"]
        assert first["mlflow.experimentKind"] == "custom_model_development"

    def test_leaves_what_others_tagged(self, tags, folder, uri):
        tags()
        client, [experiment] = MlflowClient(uri), sync_ids(folder, uri)
        client.set_experiment_tag(experiment, f"{PREFIX}mine", "my own view")
        client.set_experiment_tag(experiment, f"{PREFIX}leaderboard", "broken")
        assert tags()[f"{PREFIX}mine"] == "my own view"
        assert "leaderboard" in decode({k: v for k, v in tags().items() if not k.endswith("mine")})


def sync_ids(folder, uri):
    return [sync(folder, uri).experiment_id]


class TestDescription:
    @pytest.fixture
    def describe(self, folder, uri):
        def read():
            client = MlflowClient(uri)
            [run] = client.search_runs([sync(folder, uri).experiment_id], "tags.`archsearch.kind` = 'study'")
            return run.data.tags["mlflow.note.content"]

        return read

    def test_is_there_from_the_beginning(self, folder, describe):
        Study(folder).session()
        assert describe().startswith("Not finished yet. Trials: none yet.\n\n")

    def test_begins_with_the_best_trial_in_the_end(self, folder, describe):
        study = Study(folder).session()
        for trial, error in enumerate((0.25, 0.125, 0.5)):
            study.trial(trial, (1, 2), depth=8 + trial)
            study.told(trial, value=1 - error, val_error=error, parameters=12345)
        study.trial(3).told(3, "failed", "out of memory")
        study.add("interrupted", reason="Ctrl-C")
        assert "Interrupted (Ctrl-C); `archsearch run` goes on. Trials: 3 complete, 1 failed." in describe()
        study.session().add("finished", reason="all trials are done")

        text = describe()
        best = "val_accuracy 0.8750, val_error 0.1250, parameters 12,345"
        assert text.startswith(
            f"**Best: residual-9 w16 pad** (trial 1, means over 2 seeds): {best}.\n\n"
            "Finished: all trials are done. Trials: 3 complete, 1 failed.\n\n"
        )
        assert "- to maximize `val_accuracy`" in text
        assert "archsearch report depth" in text

    def test_stands_above_the_table_of_runs_until_somebody_writes_another(self, folder, uri, describe):
        study = Study(folder).session()
        text = describe()
        client, [experiment] = MlflowClient(uri), sync_ids(folder, uri)
        assert client.get_experiment(experiment).tags["mlflow.note.content"] == text
        client.set_experiment_tag(experiment, "mlflow.note.content", "mine")
        assert describe() == text
        assert client.get_experiment(experiment).tags["mlflow.note.content"] == "mine"
        study.add("finished", reason="done")
        assert client.get_experiment(*sync_ids(folder, uri)).tags["mlflow.note.content"] == describe()

    def test_shows_the_pictures_of_the_report_above_all(self, folder, uri, describe):
        varied_study(folder)
        (folder / "report" / "small").mkdir(parents=True)
        (folder / "report" / "small" / "depth_curve.png").write_bytes(b"PNG")
        said = "- **plain: degradation.** It gets worse.\n"
        (folder / "report" / "conclusion.md").write_text(f"{said}\n![Depth](small/depth_curve.png)\n")

        text = describe()
        assert text.startswith(said)
        [run, path] = re.search(r"!\[Depth\]\(get-artifact\?run_uuid=(\w+)&path=([^)]*)\)", text).groups()
        assert MlflowClient(uri).get_run(run).data.tags["archsearch.kind"] == "study"
        assert path in [file.path for file in MlflowClient(uri).list_artifacts(run, "report/small")]
        assert describe() == text


class TestNotes:
    def test_say_how_each_trial_ended(self, folder, uri):
        varied_study(folder)
        sync(folder, uri)
        notes = {
            key: run["tags"]["mlflow.note.content"].partition("\n")[0]
            for key, run in read_content(uri).items()
            if key.startswith("trial")
        }
        assert notes == {
            "trial 0": "**Complete**: val_error 0.0250, train_error 0.0100.",
            "trial 1": "**Pruned**: worse than the median.",
            "trial 2": "**Infeasible**: parameters is 1056, must be at most 1000.",
            "trial 3": "**Failed**: loss became NaN.",
            "trial 4": "**Repeated**: val_error 0.0250.",
            "trial 5": "**Complete**: val_error 0.0250, means over 3 seeds.",
        }

    def test_of_a_trial_that_is_trained_again_says_nothing_of_its_end(self, folder, uri):
        study = Study(folder).session().trial(0, (1,)).started(0, 1).told(0, val_error=0.1)
        study.trial(0, (1, 2)).started(0, 2)
        sync(folder, uri)
        assert read_content(uri)["trial 0"]["tags"]["mlflow.note.content"].startswith("**Not finished**.\n")

    def test_name_the_command_that_tells_all(self, folder, uri):
        varied_study(folder)
        sync(folder, uri)
        note = read_content(uri)["trial 5"]["tags"]["mlflow.note.content"]
        assert "archsearch show depth --trial 5 " in note


class TestColours:
    def test_tell_families_and_depths_apart(self):
        families = ("plain", "residual", "dense", "highway", "grouped", "my-own")
        colours = {run_colour(block, depth) for block in families for depth in (2, 8, 20, 56, 110, 1202)}
        assert len(colours) == 36
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)

    def test_darken_with_depth(self):
        lightness = [sum(bytes.fromhex(run_colour("residual", depth)[1:])) for depth in (8, 20, 32, 56, 110)]
        assert lightness == sorted(lightness, reverse=True)


class TestPages:
    def test_ask_for_all_runs_where_the_interface_asks_for_a_hundred(self):
        assert json.loads(widen(b'{"max_results": 100, "filter": "x"}')) == {
            "max_results": 1000,
            "filter": "x",
        }
        for other in (b'{"max_results": 25}', b"{}", b"[]", b"", b"\xff"):
            assert widen(other) == other

    @pytest.mark.parametrize(
        ("path", "passed_on"),
        [("/ajax-api/2.0/mlflow/runs/search", 1000), ("/api/2.0/mlflow/runs/search", 100)],
    )
    def test_pass_everything_else_on(self, path, passed_on):
        seen = {}

        async def inner(scope, receive, send):
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += message["body"]
            seen.update(body=json.loads(body), headers=dict(scope["headers"]), size=len(body))

        parts = [b'{"max_res', b'ults": 100}']
        messages = [
            *({"type": "http.request", "body": part, "more_body": part is parts[0]} for part in parts),
            {"type": "http.disconnect"},
        ]

        async def receive():
            return messages.pop(0)

        headers = [(b"content-length", b"20"), (b"host", b"here")]
        scope = {"type": "http", "path": path, "headers": headers}
        asyncio.run(WholeStudies(lambda: inner)(scope, receive, None))

        assert seen["body"] == {"max_results": passed_on}
        assert seen["headers"] == {b"content-length": str(seen["size"]).encode(), b"host": b"here"}
