"""MLflow's own pages, served on this machine for one person."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from archsearch.errors import TrackingError
from archsearch.tracking.address import hide_passwords, is_server, page_address

_HOST = "127.0.0.1"
_LONGEST_START_S = 90.0


@contextmanager
def serve_pages(uri: str, port: int) -> Iterator[str]:
    """Serve a store's pages until the context is left; gives their address once they answer.

    The server is started in its light form: one worker, no job execution (seconds and half a gigabyte instead
    of four times that).

    Args:
        uri: The store. One that is a server itself has pages already: gives their address, without a login.
        port: On 127.0.0.1.

    Raises:
        TrackingError: The port is taken, or the server ends or does not answer.
    """
    if is_server(uri):
        yield page_address(uri)
        return
    check_port(port)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--app-name", "archsearch"),
            *("--host", _HOST, "--port", str(port), "--workers", "1"),
        ],
        # By the environment, not by an argument: the list of processes is open to everybody.
        env={**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://{_HOST}:{port}"
    try:
        _wait_until_it_answers(process, address, uri)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_port(port: int) -> None:
    """Check that a port of this machine can be used.

    Raises:
        TrackingError: It is taken, or not for everybody.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} on {_HOST} cannot be used ({error.strerror}). Choose another with --port."
            ) from error


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, uri: str) -> None:
    deadline = time.monotonic() + _LONGEST_START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(
                f"MLflow's server for {hide_passwords(uri)} ended at once (exit code {process.returncode}). "
                f"`mlflow server --backend-store-uri {hide_passwords(uri)}` says why."
            )
        try:
            # An address of this machine that was made here.
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # nosec B310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TrackingError(f"MLflow's server did not answer at {address} within {_LONGEST_START_S:.0f} s.")
