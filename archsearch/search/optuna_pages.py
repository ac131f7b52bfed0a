"""optuna-dashboard's pages of studies, served on this machine for one person.

Optuna's part of a study lives in the conductor's memory and is rebuilt from the journal. So it is here: the
pages need no database, show what has ended by now, also of a study that runs, and can change nothing.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial

from archsearch.errors import InputError
from archsearch.journal import JournalReader, Replay, RunFolder, TrialHistory
from archsearch.search.cell_search import Memo, freeze, told_to_optuna
from archsearch.study import label_values

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = "127.0.0.1"


@contextmanager
def serve_optuna_pages(folders: Iterable[RunFolder], port: int) -> Iterator[str]:
    """Serve the searches of studies until the context is left; gives the address of the pages.

    Args:
        folders: Of the studies.
        port: On 127.0.0.1.

    Raises:
        InputError: optuna-dashboard is not installed.
        JournalError: A journal is damaged.
        OSError: The port is taken.
    """
    build, storage = _load(), InMemoryStorage()
    pages = _Pages(build(storage), [_Searches(folder, storage) for folder in folders], port)
    pages.catch_up()
    with make_server(_HOST, port, pages, server_class=_Server, handler_class=_QuietHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            found = storage.get_all_studies()
            page = f"/studies/{found[0]._study_id}" if len(found) == 1 else ""
            yield f"http://{_HOST}:{port}/dashboard{page}"
        finally:
            server.shutdown()


def _load() -> Callable[[BaseStorage], WSGIApplication]:
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise InputError(
            "needs the package optuna-dashboard, which is not installed",
            path="--dashboard optuna",
            fix="Install it with pip install 'archsearch[dashboard]', or leave --dashboard out: MLflow's "
            "pages show every study.",
        ) from error
    return cast("Callable[[BaseStorage], WSGIApplication]", wsgi)


class _Searches:
    """Copies what Optuna knows of one study into a storage, one Optuna study a cell."""

    def __init__(self, folder: RunFolder, storage: BaseStorage) -> None:
        self._reader, self._replay = JournalReader(folder.journal), Replay()
        self._header: Mapping[str, Any] = {}
        self._storage = storage
        self._studies: dict[str, optuna.Study] = {}

    def catch_up(self) -> None:
        """Copy the trials that have ended since the last time."""
        for record in self._reader.poll():
            self._replay.add(record)
            if record.kind == "study":
                self._header = record.fields
            elif record.kind == "told":
                trial = self._replay.trials[record.fields["trial"]]
                if trial.optuna is not None:
                    self._add(trial)

    def _add(self, trial: TrialHistory) -> None:
        label = label_values(trial.cell)
        if label not in self._studies:
            self._studies[label] = self._create_study(label)
        self._studies[label].add_trial(self._freeze(trial))

    def _create_study(self, label: str) -> optuna.Study:
        name, objectives = self._header["name"], self._header["objectives"]
        study = optuna.create_study(
            storage=self._storage,
            study_name=f"{name}/{label}",
            directions=list(objectives.values()),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
        return study

    def _freeze(self, trial: TrialHistory) -> FrozenTrial:
        assert trial.optuna is not None
        outcome = told_to_optuna(trial)
        told = (outcome, trial.objective_values) if outcome else None
        frozen = freeze(Memo(**trial.optuna), self._curve(trial), told)
        frozen.datetime_start = datetime.fromtimestamp(trial.created)
        frozen.datetime_complete = datetime.fromtimestamp(trial.told or trial.created)
        frozen.user_attrs = {"trial": trial.number, "network": trial.name, "outcome": trial.outcome}
        if trial.reason:
            frozen.user_attrs["reason"] = trial.reason.partition("\n")[0]
        return frozen

    def _curve(self, trial: TrialHistory) -> list[float]:
        """The first objective epoch by epoch; empty where it is none of an epoch, as costs are."""
        trained = self._replay.trials[trial.number if trial.repeated_of is None else trial.repeated_of]
        replicate = trained.replicates.get(trained.seeds[0])
        objective = next(iter(self._header["objectives"]))
        return [epoch[objective] for epoch in replicate.epochs if objective in epoch] if replicate else []


class _Pages:
    """A WSGI application around the dashboard's, which reads the journals whenever a page asks for data."""

    def __init__(self, app: WSGIApplication, searches: Iterable[_Searches], port: int) -> None:
        self._app, self._searches, self._lock = app, list(searches), threading.Lock()
        self._names = {f"{host}:{port}" for host in (_HOST, "localhost")}

    def catch_up(self) -> None:
        """Copy what has ended."""
        with self._lock:
            for search in self._searches:
                search.catch_up()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, unless it comes under another host's name or would change something."""
        if environ.get("HTTP_HOST") not in self._names or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"These pages are for this machine, and only to be read.\n"]
        if environ["PATH_INFO"].startswith("/api/"):
            self.catch_up()
        return self._app(environ, start_response)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the address."""
