"""Jobs on the machines of a Ray cluster."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, Self

from archsearch.data import load_dataset
from archsearch.errors import ExecutionError, StudyError
from archsearch.execution.limits import Limits
from archsearch.execution.pool import Pool
from archsearch.execution.protocol import Train
from archsearch.execution.ray_cluster import Share, connect
from archsearch.execution.ray_handle import RayWorkerHandle, cause_of_death
from archsearch.execution.shipping import disassemble
from archsearch.study.settings import DataSettings
from archsearch.training.failure import describe_failure
from archsearch.training.values import EpochReport, Pack, Result

_MAX_FALSE_STARTS = 3
# Nodes come and go without a word; this often is looked at who is there.
_CENSUS_S = 1.0


class RayExecutor(Pool[RayWorkerHandle]):
    """Runs jobs in actors of a Ray cluster; one that dies loses its work, as ``lost``, and is replaced.

    The conductor's process loads each data set and puts it into Ray's object store once; trained weights come
    back with the result, and are written here.

    Args:
        train: The training; a function of a module that every node has.
        share: What a trial takes of a node.
        workers: Trials at a time, also where the cluster has yet to grow for them; None takes what fits on
            the nodes that are there, and follows them as they come and go.
        address: As `archsearch.execution.ray_cluster.connect` takes it.
        limits: How long a training may take; none where not given.

    Raises:
        StudyError: On entering: Ray is not installed, or no node has room for a trial.
        ExecutionError: On entering: the cluster does not answer. On waiting: workers die before they can
            take a job, or have other versions installed.
    """

    def __init__(
        self,
        train: Train,
        share: Share,
        *,
        workers: int | None = None,
        address: str = "",
        limits: Limits | None = None,
    ) -> None:
        super().__init__()
        self._train = train
        self._share = share
        self._limit = workers
        self._address = address
        self._limits = limits or Limits()
        self._stack = ExitStack()
        self._ray: Any = None
        self._room = 0
        self._counted_at = 0.0
        self._false_starts = 0
        # Four, as in `load_dataset`; one that is dropped leaves the store when no worker reads it any more.
        self._put = lru_cache(maxsize=4)(self._put_dataset)

    @property
    def slots(self) -> int:
        """Trials at a time: at least one, which waits should the cluster have no node for it just now."""
        if self._limit is not None:
            return self._limit
        if self._ray is not None and time.monotonic() - self._counted_at > _CENSUS_S:
            self._room = self._share.count_in(self._ray.nodes())
            self._counted_at = time.monotonic()
        return max(1, self._room)

    def __enter__(self) -> Self:
        self._ray = self._stack.enter_context(connect(self._address))
        nodes = self._ray.nodes()
        if self._limit is None and not self._share.count_in(nodes):
            self._stack.close()
            raise _no_room(self._share, nodes)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()
        self._events.clear()
        self._put.cache_clear()
        for worker in self._workers:
            worker.close()
        self._workers.clear()
        self._stack.close()

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Return the next report or result."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in self._workers:
            worker.keep_busy()
        if self._limit_s() == 0:
            # while others report again and again, one may be silent
            self._collect(0)
            self._end_overdue()
        while not self._events:
            self._dispatch()
            if not self._waiting and not any(worker.under_way for worker in self._workers):
                break
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left < 0:
                return None
            self._collect(_CENSUS_S if left is None else min(left, _CENSUS_S))
            self._end_overdue()
        return self._events.popleft() if self._events else None

    def _collect(self, timeout_s: float) -> None:
        calls = {worker.next_call: worker for worker in self._workers if worker.next_call is not None}
        done, _ = self._ray.wait(list(calls), timeout=timeout_s)
        if done:
            # All there is, and not the first alone: it would always be the same worker's.
            done, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        for call in done:
            self._receive(calls[call])

    def _receive(self, worker: RayWorkerHandle) -> None:
        try:
            event = worker.receive()
        except self._ray.exceptions.RayError as error:
            self._bury(worker, error)
            return
        self._false_starts = 0
        if event is not None:
            self._events.append(event)

    def _bury(self, worker: RayWorkerHandle, error: Exception) -> None:
        """Account for a dead worker; `_dispatch` replaces it where there is work for another."""
        self._discard(worker)
        self._events.extend(worker.lost_results(error))
        if not worker.ready:
            self._false_starts += 1
            # A node that goes may take several with it that had just been begun.
            if self._false_starts >= _MAX_FALSE_STARTS + self.slots:
                raise ExecutionError(
                    f"{self._false_starts} workers in a row could not be started: {cause_of_death(error)}"
                )

    def _discard(self, worker: RayWorkerHandle) -> None:
        self._workers.remove(worker)
        worker.close()
        self._counted_at = 0.0

    def _dispatch(self) -> None:
        # Workers are started by the first job, so that a study without one starts none.
        while self._waiting:
            idle = next((worker for worker in self._workers if worker.ready and not worker.under_way), None)
            if idle is None:
                break
            self._start(idle, self._waiting.popleft())
        starting = sum(not worker.ready for worker in self._workers)
        while starting < len(self._waiting) and len(self._workers) < self.slots:
            self._workers.append(RayWorkerHandle(self._ray, self._train, self._share, self._limits))
            starting += 1

    def _start(self, worker: RayWorkerHandle, pack: Pack) -> None:
        try:
            data = self._put(pack.jobs[0].data)
        # Failure is an outcome, as where a worker loads the data itself.
        except Exception as error:  # noqa: BLE001
            reason = describe_failure(error)
            self._events.extend(Result(*replicate, "failed", reason, 0, {}) for replicate in pack.replicates)
            return
        worker.start(pack, data)
        worker.keep_busy()

    def _put_dataset(self, settings: DataSettings) -> Any:
        return self._ray.put(disassemble(load_dataset(settings)))


def _no_room(share: Share, nodes: list[dict[str, Any]]) -> StudyError:
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    sizes = sorted({(node.get("CPU", 0), node.get("GPU", 0)) for node in alive}, reverse=True)
    shown = ", ".join(f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in sizes)
    return StudyError(
        f"must leave room for a trial on one node of the cluster (its nodes have {shown})",
        path="execution",
        got=f"{share.cpus:g} CPUs and {share.gpus:g} GPUs per trial",
        fix="Ask for less, or set `workers` where nodes are added as they are needed.",
    )
