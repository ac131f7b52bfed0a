"""Look whether an Optuna storage answers and is of the right version.

::

    echo URL | python -m archsearch.search.optuna_checking

It prints a line of JSON, whose ``error`` is empty where all is well.
"""

from __future__ import annotations

import json
import sys

import optuna


def check_storage(url: str) -> str:
    """Return what is wrong with a storage, in one line; empty where nothing is."""
    try:
        optuna.get_all_study_names(url)
    # Whatever the storage's driver raises.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ""


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(json.dumps({"error": check_storage(sys.stdin.read().strip())}))
