"""Write rows into MLflow, each once, whatever stands there already."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from archsearch.tracking.address import is_server, sqlite_path
from archsearch.tracking.rows import DataVersion, Row, RunKey

# Read by MLflow when it is imported or at its first request, and by PostgreSQL's driver. Without them a dead
# server, or one that asks to be left alone for a while, holds a call for minutes, and each run that ends is
# announced on standard output. The mirror tries again by itself, after it has looked at what arrived.
for _name, _value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PGCONNECT_TIMEOUT": "10",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow.entities import (  # noqa: E402
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

LINE_TAG = "archsearch.journal_line"
"""Number of the last record that a run reflects: what tells a later mirror to leave the run alone."""

_UID_TAG = "archsearch.study_uid"
_REPORT_TAG = "archsearch.report_sha256"
_NOTE_TAG = "mlflow.note.content"
_PARENT_TAG = "mlflow.parentRunId"
_METRICS_PER_BATCH = 900
_TEXTS_PER_BATCH = 90
_RUNS_PER_PAGE = 1000
_PICTURE = re.compile(r"(!\[[^\]]*\])\(([\w/-]+\.png)\)")
_Item = TypeVar("_Item")


@dataclass
class _Known:
    """A run as it stands in MLflow."""

    run_id: str
    status: str
    end_ms: int | None
    tags: dict[str, str]
    params: set[str]
    digests: set[str]


class Store:
    """The part of an MLflow store that belongs to one study.

    Args:
        uri: MLflow tracking URI.
        header: Fields of the journal's ``study`` record.

    Raises:
        Exception: Whatever MLflow raises, here and in `write`.
    """

    def __init__(self, uri: str, header: Mapping[str, Any]) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        uid, name = str(header["uid"]), str(header["name"])
        path = sqlite_path(uri)
        # MLflow keeps a store by its URI: from another folder a relative one would still mean the first file.
        absolute = uri if path is None else f"sqlite:///{path.absolute()}"
        if not is_server(uri):
            _try_databases_once()
        with _alone(uri):
            self._client = MlflowClient(absolute)
            experiment = _find_experiment(self._client, uid, name)
        self.experiment_id, self.experiment = experiment.experiment_id, experiment.name
        self._experiment_tags: dict[str, str] = dict(experiment.tags)
        self._known = _without_doubles(self._client, _find_runs(self._client, self.experiment_id, uid))

    def __len__(self) -> int:
        return len(self._known)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Bring the experiment's tags up to date; those that others set stay."""
        for name, value in tags.items():
            if self._experiment_tags.get(name) != value:
                self._client.set_experiment_tag(self.experiment_id, name, value)
                self._experiment_tags[name] = value

    def write(self, row: Row) -> None:
        """Bring one run up to date; its parent must have been written before."""
        known = self._known.get(row.key) or self._create(row)
        parent = row.parent and self._known[row.parent].run_id
        if (known.tags.get(LINE_TAG), known.tags.get(_PARENT_TAG)) != (str(row.line), parent):
            self._write_values(known, row)
            if row.parent is None:
                self._describe(known)
        if row.status == "RUNNING":
            if known.status != row.status:
                self._client.update_run(known.run_id, status=row.status)
        elif (known.status, known.end_ms) != (row.status, row.end_ms):
            # The same status may have another end: who was closed went on, and all of that came at once.
            self._client.set_terminated(known.run_id, row.status, end_time=row.end_ms)
        known.status, known.end_ms = row.status, row.end_ms
        row.points.clear()

    def attach(self, key: RunKey, folder: Path, conclusion: str) -> None:
        """Bring the files of a folder into a run's artefacts, and a conclusion to the top of its description.

        Files that stand there in the same state are left alone. Pictures of the folder that the conclusion
        shows are shown from the artefacts, by the address that MLflow's own page takes them from.
        """
        known = self._known[key]
        files = sorted(path for path in folder.iterdir() if path.is_file())
        digest = hashlib.sha256(
            b"".join(path.name.encode() + path.read_bytes() for path in files)
        ).hexdigest()
        if known.tags.get(_REPORT_TAG) != digest:
            self._client.log_artifacts(known.run_id, str(folder), folder.name)
            self._client.set_tag(known.run_id, _REPORT_TAG, digest)
            known.tags[_REPORT_TAG] = digest
        served = f"get-artifact?run_uuid={known.run_id}&path={folder.name}/"
        conclusion = _PICTURE.sub(lambda found: f"{found[1]}({served}{found[2]})", conclusion)
        note = known.tags.get(_NOTE_TAG, "")
        if not note.startswith(conclusion):
            known.tags[_NOTE_TAG] = f"{conclusion}\n{note}"
            self._client.set_tag(known.run_id, _NOTE_TAG, known.tags[_NOTE_TAG])
            self._describe(known)

    def _describe(self, study: _Known) -> None:
        """Show what describes the study's run above the table of all runs, too."""
        if _NOTE_TAG in study.tags:
            self.tag({_NOTE_TAG: study.tags[_NOTE_TAG]})

    def _create(self, row: Row) -> _Known:
        run = self._client.create_run(
            self.experiment_id, start_time=row.start_ms, tags=self._tags(row), run_name=row.name
        )
        return self._known.setdefault(row.key, _known_from(run))

    def _tags(self, row: Row) -> dict[str, str]:
        if row.parent is None:
            return row.tags
        return {**row.tags, _PARENT_TAG: self._known[row.parent].run_id}

    def _write_values(self, known: _Known, row: Row) -> None:
        """Write what differs; a point that stands there already is not written twice by MLflow itself."""
        points = [Metric(point.name, point.value, point.time_ms, point.step) for point in row.points]
        params = [Param(name, value) for name, value in row.params.items() if name not in known.params]
        tags = {name: value for name, value in self._tags(row).items() if known.tags.get(name) != value}
        for stale in [name for name in known.tags if name.startswith("archsearch.") and name not in row.tags]:
            if stale not in (LINE_TAG, _REPORT_TAG):
                self._client.delete_tag(known.run_id, stale)
                del known.tags[stale]
        for metrics in _batched(points, _METRICS_PER_BATCH):
            self._client.log_batch(known.run_id, metrics=metrics)
        for some in _batched(params, _TEXTS_PER_BATCH):
            self._client.log_batch(known.run_id, params=some)
        known.params.update(param.key for param in params)
        if data := [version for version in row.data if version.digest not in known.digests]:
            self._client.log_inputs(known.run_id, [_input_of(version) for version in data])
            known.digests.update(version.digest for version in data)
        # The line comes last: it vouches for all the rest.
        tags[LINE_TAG] = str(row.line)
        self._client.log_batch(known.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        known.tags.update(tags)


def _batched(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Let one process at a time open a SQLite store: the first one migrates it, and two would race."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"archsearch-mlflow-{os.getuid()}-{mark}.lock"):
        yield


def _find_experiment(client: MlflowClient, uid: str, name: str) -> Experiment:
    """Return the study's experiment: its own, or a new one under the first free name."""
    mine = client.search_experiments(ViewType.ALL, filter_string=f"tags.`{_UID_TAG}` = '{uid}'")
    for experiment in sorted(mine, key=lambda experiment: experiment.lifecycle_stage != "active"):
        if experiment.lifecycle_stage != "active":
            client.restore_experiment(experiment.experiment_id)
        return experiment
    for number in itertools.count(1):
        # A deleted experiment keeps its name, so asking is the only way to know.
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            return client.get_experiment(client.create_experiment(candidate, tags={_UID_TAG: uid}))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    raise AssertionError("unreachable")


def _find_runs(client: MlflowClient, experiment_id: str, uid: str) -> Iterator[tuple[RunKey, _Known]]:
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{_UID_TAG}` = '{uid}'",
            max_results=_RUNS_PER_PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        for run in page:
            tags = run.data.tags
            if tags["archsearch.kind"] == "study":
                key = RunKey("study")
            elif tags["archsearch.kind"] == "trial":
                key = RunKey("trial", int(tags["archsearch.trial"]))
            else:
                key = RunKey("replicate", int(tags["archsearch.trial"]), int(tags["archsearch.seed"]))
            yield key, _known_from(run)
        token = page.token
        if not token:
            return


def _without_doubles(client: MlflowClient, found: Iterable[tuple[RunKey, _Known]]) -> dict[RunKey, _Known]:
    """Delete what was created twice: a server may carry out a request whose answer came too late for us."""
    known: dict[RunKey, _Known] = {}
    # By id, so that whoever looks keeps the same one.
    for key, run in sorted(found, key=lambda item: item[1].run_id):
        if known.setdefault(key, run) is not run:
            client.delete_run(run.run_id)
    return known


def _try_databases_once() -> None:
    """Have MLflow raise at once where a database does not answer: it would try for two minutes."""
    from mlflow.store.db import utils

    # MLflow has no setting for it.
    utils.MAX_RETRY_COUNT = 1


def _known_from(run: Run) -> _Known:
    info, inputs = run.info, run.inputs.dataset_inputs if run.inputs else ()
    digests = {known.dataset.digest for known in inputs}
    return _Known(info.run_id, info.status, info.end_time, dict(run.data.tags), set(run.data.params), digests)


def _input_of(version: DataVersion) -> DatasetInput:
    dataset = Dataset(version.name, version.digest, "archsearch", version.source)
    # What MLflow's page shows beside the name.
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
