"""Look whether an MLflow store answers and is of the right version, changing nothing.

::

    echo URI | python -m archsearch.tracking.checking

It prints a line of JSON, whose ``error`` is empty where all is well.
"""

from __future__ import annotations

import json
import sys

# Before MLflow itself, which reads its patience from the environment that this module sets.
from archsearch.tracking import store  # noqa: F401  # isort: skip

import sqlalchemy
from mlflow.store.db.utils import _get_latest_schema_revision, _get_schema_version
from mlflow.tracking import MlflowClient


def check_store(uri: str) -> str:
    """Return what is wrong with a store, in one line; empty where nothing is."""
    try:
        if uri.startswith(("http://", "https://", "databricks")):
            MlflowClient(uri).search_experiments(max_results=1)
            return ""
        # Opening it as MLflow does would bring an old one to the newest schema.
        engine = sqlalchemy.create_engine(uri)
        try:
            found = _get_schema_version(engine)  # type: ignore[no-untyped-call]
            wanted = _get_latest_schema_revision()  # type: ignore[no-untyped-call]
        finally:
            engine.dispose()
    # Whatever MLflow and what lies below it raise.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return "" if found == wanted else f"its schema is of version {found}, and this MLflow's of {wanted}"


if __name__ == "__main__":
    print(json.dumps({"error": check_store(sys.stdin.read().strip())}))
