"""Where MLflow is, what may be shown of that, and what runs are called there."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from archsearch.errors import hide_passwords

DEFAULT_URI = "sqlite:///mlflow.db"

__all__ = [
    "DEFAULT_URI",
    "hide_passwords",
    "is_server",
    "name_run",
    "page_address",
    "resolve_uri",
    "sqlite_path",
]


def resolve_uri(wanted: str = "") -> str:
    """Return the tracking URI: the study's own, else MLFLOW_TRACKING_URI, else a file in this folder."""
    return wanted or os.environ.get("MLFLOW_TRACKING_URI", "") or DEFAULT_URI


def is_server(uri: str) -> bool:
    """Whether a store is an MLflow server, which has pages of its own."""
    return uri.startswith(("http://", "https://"))


def page_address(uri: str) -> str:
    """Return where a server's pages are: its URI without the login, which a page asks for itself."""
    parts = urlsplit(hide_passwords(uri))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI; None for other stores."""
    name = uri.removeprefix("sqlite:///")
    return None if name == uri or not name else Path(name)


def name_run(network: str, trial: int, seed: int | None = None) -> str:
    """Return the name of a trial's run, or with a seed that of its replicate."""
    return f"{network} #{trial}" if seed is None else f"{network} #{trial} · seed {seed}"
