"""Jobs in worker processes of this machine: warm, long-lived, expendable."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import BaseContext
from typing import Self

from archsearch.errors import ExecutionError
from archsearch.execution.handle import WorkerHandle
from archsearch.execution.launching import START_METHOD, prepare_context
from archsearch.execution.limits import Limits
from archsearch.execution.pool import Pool
from archsearch.execution.protocol import Train
from archsearch.training.values import EpochReport, Result

_MAX_FALSE_STARTS = 3


class LocalExecutor(Pool[WorkerHandle]):
    """Runs jobs in worker processes; one that dies takes its work with it, as ``lost``, and is replaced.

    Args:
        train: The training; a function of a module.
        workers: Number of worker processes.
        visible_devices: CUDA devices, as CUDA_VISIBLE_DEVICES names them, given to the workers in turn;
            empty for other kinds. Workers that share one get equal parts of its memory.
        limits: How long a training may take; none where not given.
        preload: Modules imported once, before workers start; the training's own where not given.
        start_method: Of multiprocessing; chosen by platform.

    Raises:
        ExecutionError: On submitting or waiting: workers die before they can take a job.
    """

    def __init__(
        self,
        train: Train,
        workers: int,
        *,
        visible_devices: Sequence[str] = (),
        limits: Limits | None = None,
        preload: Sequence[str] = (),
        start_method: str = START_METHOD,
    ) -> None:
        super().__init__()
        self._train = train
        self._devices = [
            visible_devices[i % len(visible_devices)] if visible_devices else None for i in range(workers)
        ]
        self._sharing = -(-workers // len(visible_devices)) if visible_devices else 1
        self._limits = limits or Limits()
        self._preload = tuple(preload) or (train.__module__,)
        self._start_method = start_method
        self._context: BaseContext | None = None
        self._false_starts: Counter[int] = Counter()

    @property
    def slots(self) -> int:
        """Number of workers."""
        return len(self._devices)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def __enter__(self) -> Self:
        self._context = prepare_context(self._start_method, self._preload)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()
        self._events.clear()
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        """Return the next report or result."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if self._limit_s() == 0:
            # while others report again and again, one may be silent
            self._collect()
            self._end_overdue()
        while not self._events:
            busy = [worker for worker in self._workers if worker.under_way]
            if not busy and not self._waiting:
                return None
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            limit = self._limit_s()
            signs = [sign for worker in self._workers for sign in worker.signs_of_life]
            soonest = min((seconds for seconds in (left, limit) if seconds is not None), default=None)
            if not wait_for_any(signs, soonest) and soonest == left:
                return None
            self._collect()
            self._end_overdue()
            self._dispatch()
        return self._events.popleft()

    def _collect(self) -> None:
        for index, worker in enumerate(self._workers):
            try:
                self._events.extend(worker.receive())
            except EOFError:
                self._bury(index, worker)
                self._workers[index] = self._start_worker(worker.visible_devices)
            else:
                if worker.ready:
                    del self._false_starts[index]

    def _bury(self, index: int, worker: WorkerHandle) -> None:
        """Account for a dead worker: its work is lost, or waits again where it had never begun."""
        if worker.ready:
            self._events.extend(worker.lost_results())
        else:
            # By place: that others start well says nothing of a place whose device is gone.
            self._false_starts[index] += 1
            if self._false_starts[index] >= _MAX_FALSE_STARTS:
                raise ExecutionError(
                    f"{_MAX_FALSE_STARTS} workers in a row could not be started: {worker.cause_of_death()}"
                )
            self._waiting.extendleft([worker.pack] if worker.pack else [])
        worker.close()

    def _discard(self, worker: WorkerHandle) -> None:
        worker.kill()
        worker.close()
        self._workers[self._workers.index(worker)] = self._start_worker(worker.visible_devices)

    def _dispatch(self) -> None:
        # Workers are started by the first job, so that a study without one starts none.
        for pack in list(self._waiting):
            worker = next((worker for worker in self._workers if not worker.under_way), None)
            if worker is None and len(self._workers) < self.slots:
                worker = self._start_worker(self._devices[len(self._workers)])
                self._workers.append(worker)
            if worker is None:
                return
            self._waiting.remove(pack)
            worker.start(pack)

    def _start_worker(self, visible_devices: str | None) -> WorkerHandle:
        assert self._context is not None, "the executor was not entered"
        return WorkerHandle(
            self._context, self._train, visible_devices, sharing=self._sharing, limits=self._limits
        )
