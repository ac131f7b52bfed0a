"""Show a study in MLflow or optuna-dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from archsearch.application.syncing import find_uri, sync_mlflow
from archsearch.errors import StudyError
from archsearch.journal import RunFolder
from archsearch.tracking import resolve_uri, view_link
from archsearch.tracking.address import is_server
from archsearch.tracking.server import check_port, serve_pages


@dataclass(frozen=True)
class Pages:
    """Pages that a browser can open.

    Attributes:
        address: Where they are; holds no login.
        served_here: Whether this process serves them, to this machine alone; else a server elsewhere does.
    """

    address: str
    served_here: bool = True


@contextmanager
def show_pages(
    study: str | None, *, port: int, uri: str = "", runs_folder: str | Path = "runs"
) -> Iterator[Pages]:
    """Serve MLflow's pages until the context is left; those of a server are served already.

    Args:
        study: Name of a study that was run, whose first view is linked to; None links to the list of all.
        port: On 127.0.0.1.
        uri: MLflow tracking URI; empty takes the study's, or the usual one.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: The study was not run.
        TrackingError: The server cannot be started, or MLflow cannot be read.
    """
    if study is None:
        uri = resolve_uri(uri)
        with serve_pages(uri, port) as address:
            yield Pages(address, served_here=not is_server(uri))
        return
    folder = RunFolder.find(study, runs_folder)
    uri = resolve_uri(uri or find_uri(study, folder))
    status = sync_mlflow(folder, uri)
    with serve_pages(uri, port) as address:
        yield Pages(view_link(address, status.experiment_id), served_here=not is_server(uri))


@contextmanager
def show_optuna_pages(study: str | None, *, port: int, runs_folder: str | Path = "runs") -> Iterator[Pages]:
    """Serve optuna-dashboard's pages until the context is left, made from journals.

    Args:
        study: Name of a study that was run; None shows all that search.
        port: On 127.0.0.1.
        runs_folder: Folder of all run folders.

    Raises:
        InputError: optuna-dashboard is not installed.
        RunFolderError: The study was not run.
        StudyError: There is no search.
        TrackingError: The port is taken.
    """
    from archsearch.search.optuna_pages import serve_optuna_pages

    if study is None:
        folders = [RunFolder.of(name, runs_folder) for name in RunFolder.names(runs_folder)]
    else:
        folders = [RunFolder.find(study, runs_folder)]
    searches = [folder for folder in folders if folder.history().header.get("identity", {}).get("search")]
    if not searches:
        raise StudyError(
            "must have a `search`: Optuna has no part in a sweep",
            path="STUDY" if study else str(runs_folder),
            got=study or [folder.path.name for folder in folders],
            fix="Leave --dashboard out: MLflow's pages show every study.",
        )
    check_port(port)
    with serve_optuna_pages(searches, port) as address:
        yield Pages(address)
