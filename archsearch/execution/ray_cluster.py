"""A connection to a Ray cluster, or to a small one of this machine that lives as long as the connection."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import ExecutionError, StudyError
from archsearch.execution.machine import count_cores

# A cluster that is started here tells Ray's makers nothing of its use.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}
# Of this process alone, where others have started the cluster: its log of errors is standard error, where Ray
# writes of a lost node, which is no error here.
_JOINING = {"RAY_BACKEND_LOG_LEVEL": "fatal"}
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
# Ray itself tries for several minutes, in code that hears no signal.
# By its standard input, not by an argument: the list of processes is open to everybody.
_PROBE = "import sys, ray; ray.init(address=sys.stdin.read(), log_to_driver=False, logging_level='CRITICAL')"
_ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Share:
    """What one trial takes of a node; GPUs may be a fraction of one, or several of the same node."""

    cpus: float
    gpus: float

    def count_on(self, node: Mapping[str, float]) -> int:
        """Return how many trials a node of these resources takes at a time."""
        fits = [_whole(node.get("CPU", 0) / self.cpus)]
        if self.gpus >= 1:
            fits.append(_whole(node.get("GPU", 0) / self.gpus))
        elif self.gpus:
            # A trial lies on one GPU: what is left of each cannot be put together.
            fits.append(_whole(node.get("GPU", 0)) * self.sharing)
        return min(fits)

    @property
    def sharing(self) -> int:
        """How many trials share a GPU."""
        return _whole(1 / self.gpus) if 0 < self.gpus < 1 else 1

    def count_in(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """Return how many trials the living ones of ``ray.nodes()`` take at a time."""
        return sum(self.count_on(node["Resources"]) for node in nodes if node["Alive"])


def _whole(ratio: float) -> int:
    # 0.3 / 0.1 is a little less than 3.
    return math.floor(ratio + 1e-9)


def import_ray() -> Any:
    """Import Ray, which is an extra.

    Raises:
        StudyError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise StudyError(
            "must be an executor that is installed",
            path="execution.executor",
            got="ray",
            fix="Install it with: pip install 'archsearch[ray]'",
        ) from error
    return ray


@contextlib.contextmanager
def connect(address: str, *, timeout_s: float = _ANSWER_TIMEOUT_S) -> Iterator[Any]:
    """Give the ray module, connected; at the end, undo what was done here and nothing else.

    Args:
        address: ``host:port``, ``auto`` or ``ray://host:port``; where empty, RAY_ADDRESS, and without
            that a cluster of this machine's cores, started here. A connection that the process already has
            is used as it is.
        timeout_s: Given to a cluster to answer.

    Raises:
        StudyError: Ray is not installed.
        ExecutionError: Nothing answers there, or not as a cluster of this version does.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS", "") or "local"
    where: dict[str, Any] = {"address": address}
    auth_mode = os.environ.get("RAY_AUTH_MODE")
    environment = _ENVIRONMENT
    if address == "local":
        where |= {"num_cpus": count_cores(), "include_dashboard": False}
    else:
        environment = environment | _JOINING
        probe(address, timeout_s)
    try:
        with _environment(environment), _hushed(), _kept_signals():
            ray.init(**where, **_QUIET)
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, str(error)) from error
    # All the same it would print to standard output when a worker dies; its debugger hushes it likewise.
    ray._private.worker._worker_logs_enabled = False
    try:
        yield ray
    finally:
        ray.shutdown()
        if auth_mode is None:
            # Set by Ray, which asks for a token in the cluster that it starts here.
            os.environ.pop("RAY_AUTH_MODE", None)


def probe(address: str, timeout_s: float) -> None:
    """Connect in another process, which can be ended when it takes too long.

    Raises:
        ExecutionError: Nothing answers there, or not as a cluster of this version does.
    """
    command = [sys.executable, "-W", "ignore", "-c", _PROBE]
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        subprocess.run(
            command,
            env=environment,
            capture_output=True,
            input=address,
            timeout=timeout_s,
            check=True,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        raise _no_cluster(address, f"no answer within {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()
        raise _no_cluster(address, words[-1] if words else f"exit code {error.returncode}") from error


def _no_cluster(address: str, reason: str) -> ExecutionError:
    return ExecutionError(
        f"The Ray cluster at {address} cannot be used: {reason.strip().rstrip('.')}. "
        "This machine must be a node of it, and know its token if it has one: see what `ray status` says."
    )


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set what is not set already, for what is started meanwhile."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Let nothing onto standard error: Ray says there how much it is going to say. What fails is raised."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _kept_signals() -> Iterator[None]:
    """Take back what Ray does to the answer to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # Only the main thread may; in another, Ray has not either.
            signal.signal(signal.SIGTERM, before)
