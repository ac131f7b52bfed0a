"""Where results are shown: MLflow, which mirrors the journal and holds no truth of its own.

Importing this package does not import MLflow; `sync` does when it is called.
"""

from __future__ import annotations

from pathlib import Path

from archsearch.tracking.address import hide_passwords, name_run, resolve_uri
from archsearch.tracking.process import MirrorProcess
from archsearch.tracking.status import MirrorStatus
from archsearch.tracking.views import view_link

__all__ = [
    "MirrorProcess",
    "MirrorStatus",
    "hide_passwords",
    "name_run",
    "resolve_uri",
    "sync",
    "view_link",
]


def sync(run_folder: str | Path, uri: str = "") -> MirrorStatus:
    """Replay a journal into MLflow; see `archsearch.tracking.mirror.sync`."""
    from archsearch.tracking.mirror import sync as replay_into_mlflow

    return replay_into_mlflow(run_folder, uri)
