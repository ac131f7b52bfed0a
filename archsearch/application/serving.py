"""Show a study in MLflow, and bring MLflow up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archsearch.errors import HIDDEN, RunFolderError, TrackingError
from archsearch.journal import RunFolder
from archsearch.study import parse_study
from archsearch.tracking import MirrorStatus, resolve_uri, sync, view_link
from archsearch.tracking.server import serve_pages


def sync_study(study: str, *, uri: str = "", runs_folder: str | Path = "runs") -> MirrorStatus:
    """Bring MLflow up to what a study's journal says; a second time changes nothing.

    Args:
        study: Name of a study that was run, or its run folder.
        uri: MLflow tracking URI; empty takes the study's.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: The study was not run.
        TrackingError: MLflow cannot be written.
    """
    folder = RunFolder.find(study, runs_folder)
    status = sync(folder.path, uri or _uri_of(folder))
    if status.state == "gave up":
        raise TrackingError(f"MLflow is not up to date: {status.error}")
    return status


@contextmanager
def show_pages(
    study: str | None, *, port: int, uri: str = "", runs_folder: str | Path = "runs"
) -> Iterator[str]:
    """Serve MLflow's pages until the context is left.

    Args:
        study: Name of a study that was run, whose first view is linked to; None links to the list of all.
        port: On 127.0.0.1.
        uri: MLflow tracking URI; empty takes the study's, or the usual one.
        runs_folder: Folder of all run folders.

    Yields:
        The address to open.

    Raises:
        RunFolderError: The study was not run.
        TrackingError: The server cannot be started, or MLflow cannot be read.
    """
    if study is None:
        with serve_pages(resolve_uri(uri), port) as address:
            yield address
        return
    folder = RunFolder.find(study, runs_folder)
    uri = resolve_uri(uri or _uri_of(folder))
    status = sync_study(study, uri=uri, runs_folder=runs_folder)
    with serve_pages(uri, port) as address:
        yield view_link(address, status.experiment_id)


def _uri_of(folder: RunFolder) -> str:
    uri = parse_study(folder.study.read_text(encoding="utf-8"), str(folder.study)).tracking.uri
    if HIDDEN not in uri:
        return uri
    # A run folder holds no passwords.
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not given:
        raise RunFolderError(
            "keeps no passwords, and this one needs one",
            path=f"{folder.study}: tracking.uri",
            got=uri,
            fix="Give --uri, or set MLFLOW_TRACKING_URI.",
        )
    return given
