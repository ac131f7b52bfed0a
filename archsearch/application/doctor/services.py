"""What a study talks to: MLflow, an Optuna storage, a Ray cluster; each is given some seconds to answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from archsearch.application.doctor.checks import Check, Subject
from archsearch.errors import ArchsearchError
from archsearch.execution.ray_cluster import import_ray, probe
from archsearch.tracking.address import hide_passwords, resolve_uri, sqlite_path

# To import MLflow alone takes as long as 20 s where other things run.
_TIMEOUT_S = 45.0
_RAY_TIMEOUT_S = 15.0


def examine_mlflow(subject: Subject) -> Check:
    """Whether the store answers, and is of the version that this MLflow reads."""
    if subject.study is not None and not subject.study.tracking.enabled:
        return Check("MLflow", "ok", "tracking is off")
    uri = resolve_uri(subject.study.tracking.uri if subject.study else "")
    path, shown = sqlite_path(uri), hide_passwords(uri)
    if path is not None and not path.exists():
        return Check("MLflow", "ok", f"{shown} is made by the first run")
    error = ask_apart("archsearch.tracking.checking", uri)
    if not error:
        return Check("MLflow", "ok", f"{shown} answers")
    mend = "Start that server or mend its address (tracking.uri); `archsearch sync` brings it up to date."
    if "schema" in error:
        mend = f"Make a copy of the store, then run: mlflow db upgrade {shown}"
    return Check("MLflow", "broken", f"{shown}: {hide_passwords(error)}", mend)


def examine_optuna(subject: Subject) -> Check | None:
    """Whether the Optuna storage that a study copies its trials to answers."""
    url = subject.study.tracking.optuna if subject.study else ""
    if not url:
        return None
    path, shown = sqlite_path(url), hide_passwords(url)
    if path is not None and not path.exists():
        return Check("Optuna storage", "ok", f"{shown} is made by the first run")
    error = ask_apart("archsearch.search.optuna_checking", url)
    if not error:
        return Check("Optuna storage", "ok", f"{shown} answers")
    mend = "Start that server or mend its address (tracking.optuna); `archsearch sync` copies what it misses."
    return Check("Optuna storage", "broken", f"{shown}: {hide_passwords(error)}", mend)


def ask_apart(module: str, uri: str, *, timeout_s: float = _TIMEOUT_S) -> str:
    """Have another process look, which can be ended when it takes too long; returns what is wrong.

    The address goes through standard input: the list of processes is open to everybody.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", module],
            input=uri,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout_s:.0f} s"
    try:
        return str(json.loads(done.stdout.splitlines()[-1])["error"])
    except (IndexError, ValueError, KeyError):
        words = done.stderr.strip().splitlines()
        return words[-1] if words else f"exit code {done.returncode}"


def examine_ray(subject: Subject) -> Check | None:
    """Whether the cluster of a study with ``executor: ray`` answers."""
    if subject.study is None or subject.study.execution.executor != "ray":
        return None
    address = subject.study.execution.address or os.environ.get("RAY_ADDRESS", "")
    try:
        import_ray()
        if not address or address == "local":
            return Check("Ray", "ok", "no address is given: a small cluster is started on this machine")
        probe(address, _RAY_TIMEOUT_S)
    except ArchsearchError as error:
        mend = "Start the cluster as docs/cluster.md says, or mend its address (execution.address)."
        return Check("Ray", "broken", str(error), mend)
    return Check("Ray", "ok", f"the cluster at {address} answers")
