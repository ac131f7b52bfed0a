"""Real services for tests, on 127.0.0.1: PostgreSQL, MLflow's server on it, Optuna's gRPC proxy on it.

::

    python -m tests.services COMMAND...

runs a command with the addresses in its environment, and stops the services when it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.postgresql import PostgreSQL, find_programs

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MLFLOW, POSTGRESQL, OPTUNA_PROXY = (
    "ARCHSEARCH_TEST_MLFLOW",
    "ARCHSEARCH_TEST_POSTGRESQL",
    "ARCHSEARCH_TEST_OPTUNA_PROXY",
)
"""Variables with an MLflow server, a PostgreSQL database for Optuna, and Optuna's proxy server on it."""

_LONGEST_START_S = 120.0
_PROXY = """
import sys
import optuna
optuna.storages.run_grpc_proxy_server(
    optuna.storages.RDBStorage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2])
)
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def missing() -> str:
    """Why there can be no services here; empty where they can be."""
    return "" if find_programs() else "PostgreSQL is not installed (Debian: postgresql)"


class MlflowServer:
    """MLflow's server in its light form, which may be started and killed again and again at one address.

    Args:
        store: Its backend store.
        folder: For artefacts.

    Attributes:
        uri: Where it is, while it runs.
    """

    def __init__(self, store: str, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._store, self._folder = store, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it, where it does not run, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)),
                *("--host", "127.0.0.1", "--default-artifact-root", str(self._folder)),
            ],
            env={
                **os.environ,
                "MLFLOW_BACKEND_STORE_URI": self._store,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            start_new_session=True,
        )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _LONGEST_START_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, "MLflow's server ended"
            assert time.monotonic() < deadline, "MLflow's server does not answer"
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it and its workers, in the middle of whatever they do."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def run_proxy(storage: str) -> Iterator[str]:
    """Run Optuna's gRPC proxy server on a storage; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROXY, storage, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _LONGEST_START_S
        while not answers(port):
            assert process.poll() is None, "Optuna's proxy server ended"
            assert time.monotonic() < deadline, "Optuna's proxy server does not answer"
            time.sleep(0.05)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def read_trials(storage: str, study_name: str) -> list[FrozenTrial]:
    """Read the trials of a study from a database of Optuna's, and leave no connection to it."""
    import optuna

    opened = optuna.storages.RDBStorage(storage)
    try:
        return optuna.load_study(study_name=study_name, storage=opened).trials
    finally:
        opened.engine.dispose()


@contextlib.contextmanager
def run_services() -> Iterator[dict[str, str]]:
    """Run all of them; gives their addresses by variable."""
    with contextlib.ExitStack() as stack:
        postgresql = stack.enter_context(PostgreSQL())
        artefacts = postgresql.folder / "artefacts"
        artefacts.mkdir()
        server = MlflowServer(postgresql.create_database("mlflow"), artefacts)
        stack.callback(server.kill)
        # It makes its tables while the others start.
        server.start(wait=False)
        optuna = postgresql.create_database("optuna")
        proxy = stack.enter_context(run_proxy(optuna))
        server.wait()
        yield {MLFLOW: server.uri, POSTGRESQL: optuna, OPTUNA_PROXY: proxy}


def main(command: Sequence[str]) -> int:
    """Run a command with services."""
    # By SIGTERM too, they are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if reason := missing():
        print(f"Without services: {reason}", file=sys.stderr)
        return subprocess.call(command)
    with run_services() as addresses:
        return subprocess.call(command, env={**os.environ, **addresses})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
