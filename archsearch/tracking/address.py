"""Where MLflow is: its URI, what may be shown of it, and links into its pages."""

from __future__ import annotations

import os
import re
from pathlib import Path

DEFAULT_URI = "sqlite:///mlflow.db"

# Up to the last @: rather too much is hidden than a password with an @ in it half shown.
_PASSWORD = re.compile(r"(://[^/\s:@]*):\S*@")


def resolve_uri(wanted: str = "") -> str:
    """Return the tracking URI: the study's own, else MLFLOW_TRACKING_URI, else a file in this folder."""
    return wanted or os.environ.get("MLFLOW_TRACKING_URI", "") or DEFAULT_URI


def hide_passwords(text: str) -> str:
    """Return a text, a URI or a message that holds one, with the passwords of its URIs starred out."""
    return _PASSWORD.sub(r"\1:***@", text)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI; None for other stores."""
    name = uri.removeprefix("sqlite:///")
    return None if name == uri or not name else Path(name)
