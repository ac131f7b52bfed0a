"""A training by several processes, one for each of its devices, as a training like any other."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Generator
from dataclasses import replace
from multiprocessing.connection import wait as wait_for_any
from typing import Any

import torch.distributed as dist

from archsearch.data import load_dataset, load_source_plugins
from archsearch.execution.child import Child
from archsearch.execution.launching import START_METHOD, prepare_context
from archsearch.execution.rank import TrainShare, be_rank
from archsearch.execution.shipping import disassemble
from archsearch.study.settings import DataSettings
from archsearch.training import train_share
from archsearch.training.failure import describe_failure
from archsearch.training.values import EpochReport, Job, Pack, Result, Seat, as_pack

_LOOPBACK = "127.0.0.1"
# One rank's error is the others' broken connection, and so is a rank's death: this long is looked for what
# was first, and for ranks that come to the same error by themselves.
_GRACE_S = 1.0

Events = Generator[EpochReport | Result, bool | None, Result]


class TrainTogether:
    """Trains each job by several ranks; a training as executors know it.

    Ranks live from job to job, until `close`, or until one of them dies or fails alone, which ends all. They
    end with the process that this is called in, however that ends. A job's threads are shared out among them.

    Args:
        ranks: How many.
        train: What each of them does; a function of a module.
    """

    def __init__(self, ranks: int, train: TrainShare = train_share) -> None:
        self._ranks = ranks
        self._train = train
        self._group: RankGroup | None = None

    def __call__(self, work: Job | Pack) -> Events:
        """Train a job, or one after the other those of a pack."""
        *others, last = as_pack(work).jobs
        for job in others:
            yield (yield from self._train_one(job))
        return (yield from self._train_one(last))

    def close(self) -> None:
        """End the ranks."""
        if self._group is not None:
            self._group.close()
            self._group = None

    def _train_one(self, job: Job) -> Events:
        threads = max(1, job.compute.threads // self._ranks)
        job = replace(job, compute=replace(job.compute, threads=threads))
        try:
            if job.plugins:
                load_source_plugins(job.plugins)
            load_dataset(job.data)
        # Failure is an outcome, as where a training loads the data itself.
        except Exception as error:  # noqa: BLE001
            return Result(job.trial, job.seed, "failed", describe_failure(error), 0, {})
        if self._group is None:
            self._group = RankGroup(self._ranks, self._train)
        sound = False
        try:
            result = yield from self._group.train(job)
            sound = self._group.sound
        finally:
            if not sound:
                self.close()
        return result


class RankGroup:
    """Some processes that train one job at a time together, as their owner sees them.

    Attributes:
        sound: Whether all have ended their job, and can be given another.
    """

    def __init__(self, ranks: int, train: TrainShare) -> None:
        self.sound = True
        self._epochs = 0
        self._results: dict[int, Result] = {}
        self._data: DataSettings | None = None
        # Through it ranks find each other, on a port that nobody else on this machine has.
        self._store = dist.TCPStore(  # type: ignore[attr-defined]
            _LOOPBACK, 0, is_master=True, wait_for_workers=False
        )
        preload = "archsearch.training.distributed" if train is train_share else train.__module__
        context = prepare_context(START_METHOD, [preload])
        visible_devices = os.environ.get("CUDA_VISIBLE_DEVICES")
        self._children: list[Child] = []
        for rank in range(ranks):
            seat = Seat(rank, ranks, self._store.port)
            self._children.append(Child(context, be_rank, train, seat, visible_devices))

    @property
    def pids(self) -> list[int]:
        """Process ids of the ranks."""
        return [child.pid for child in self._children if child.pid is not None]

    def train(self, job: Job) -> Generator[EpochReport | Result, bool | None, Result]:
        """Have a job trained."""
        self.sound, self._epochs, self._results = False, 0, {}
        known = self._data == job.data
        self._tell((job, None if known else disassemble(load_dataset(job.data))))
        self._data = job.data
        while isinstance(event := self._next(job), EpochReport):
            self._epochs = event.epoch + 1
            self._tell(bool((yield event)))
        return event

    def close(self) -> None:
        """End all ranks."""
        for child in self._children:
            child.hang_up()
        for child in self._children:
            child.close()

    def _tell(self, message: Any) -> None:
        # By plain pickle: through multiprocessing's own tensors would travel in shared memory.
        pickled = pickle.dumps(message)
        for child in self._children:
            child.send(pickled)

    def _next(self, job: Job) -> EpochReport | Result:
        """Wait for the next report, or for the result that all ranks together come to."""
        deadline = None
        while True:
            reports: list[EpochReport] = []
            for rank, child in enumerate(self._children):
                try:
                    messages = child.receive()
                except EOFError:
                    return self._lose(job, rank)
                for message in messages:
                    if isinstance(message, Result):
                        self._results[rank] = message
                    else:
                        reports.append(message)
            failures = [result for result in self._results.values() if result.outcome == "failed"]
            self.sound = len(self._results) == len(self._children)
            if self.sound:
                return failures[0] if failures else self._results[0]
            if failures and deadline is None:
                deadline = time.monotonic() + _GRACE_S
            if deadline is not None and time.monotonic() > deadline:
                return failures[0]
            if reports:
                return reports[0]
            signs = [sign for child in self._children for sign in child.signs_of_life]
            wait_for_any(signs, deadline and max(0.0, deadline - time.monotonic()))

    def _lose(self, job: Job, rank: int) -> Result:
        cause = self._children[rank].cause_of_death()
        reason = f"rank {rank} of {len(self._children)} died: {cause}"
        return Result(job.trial, job.seed, "lost", reason, self._epochs, {})
