"""Everything that stands in an MLflow store, as plain values without MLflow's own ids."""

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient


def read_content(uri, uid="uid-1"):
    client = MlflowClient(uri)
    experiments = [
        e for e in client.search_experiments(ViewType.ALL) if e.tags.get("archsearch.study_uid") == uid
    ]
    runs = client.search_runs([experiment.experiment_id for experiment in experiments], max_results=1000)
    keys = {run.info.run_id: key_of(run) for run in runs}
    assert len(set(keys.values())) == len(keys), "a run stands twice"
    return {keys[run.info.run_id]: describe(client, run, keys) for run in runs}


def key_of(run):
    tags = run.data.tags
    seed = tags.get("archsearch.seed") if tags["archsearch.kind"] == "replicate" else None
    return " ".join(part for part in (tags["archsearch.kind"], tags.get("archsearch.trial"), seed) if part)


def describe(client, run, keys):
    tags = {name: value for name, value in run.data.tags.items() if name != "archsearch.journal_line"}
    if parent := tags.get("mlflow.parentRunId"):
        tags["mlflow.parentRunId"] = keys[parent]
    if note := tags.get("mlflow.note.content"):
        tags["mlflow.note.content"] = note.replace(run.info.run_id, "ID")
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "params": dict(run.data.params),
        "data": [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs],
        "tags": tags,
        "metrics": {name: repr(value) for name, value in run.data.metrics.items()},
        "points": {name: points(client, run, name) for name in run.data.metrics},
    }


def points(client, run, name):
    history = client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.timestamp, repr(point.value)) for point in history)
