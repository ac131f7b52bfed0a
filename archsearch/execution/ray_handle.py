"""A worker of a Ray cluster as the executor sees it: its calls, its job, its end."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from archsearch.errors import ExecutionError
from archsearch.execution.limits import Limits, Stopwatch
from archsearch.execution.protocol import Train
from archsearch.execution.ray_cluster import Share
from archsearch.execution.ray_worker import RayWorker, Step, find_versions
from archsearch.training.failure import describe_failure
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result
from archsearch.training.weights import write_whole

_BEFORE_EVERY_CAUSE = "The actor died unexpectedly before finishing this task."
_ID = re.compile(r" [0-9a-f]{24,}\b")

# One that runs and one behind it, so that a worker does not wait for the conductor between two epochs.
_CALLS_AHEAD = 2


class RayWorkerHandle:
    """One worker, which Ray places on a node that has room for it, now or later.

    Attributes:
        under_way: What it trains, with the epochs that each replicate has finished; empty while it is idle.
        ready: Whether it has come up.
        stopwatch: Watches what is under way.
    """

    def __init__(self, ray: Any, train: Train, share: Share, limits: Limits | None = None) -> None:
        self.stopwatch = Stopwatch(limits or Limits())
        self.under_way: dict[Replicate, int] = {}
        self.ready = False
        self._stopping: frozenset[Replicate] = frozenset()
        self._jobs: dict[Replicate, Job] = {}
        self._ray = ray
        # Never restarted by Ray: the conductor hears of the loss, and decides.
        self._actor = (
            ray.remote(RayWorker)
            .options(
                num_cpus=share.cpus,
                num_gpus=share.gpus,
                scheduling_strategy="SPREAD",
                max_restarts=0,
                max_task_retries=0,
            )
            .remote(train, share.sharing)
        )
        self._calls: deque[Any] = deque([self._actor.versions.remote()])

    @property
    def next_call(self) -> Any:
        """The call that ends next, to wait on; None where none is made."""
        return self._calls[0] if self._calls else None

    def start(self, pack: Pack, data: Any) -> None:
        """Send one job or several down, with a reference to their data."""
        self.under_way = dict.fromkeys(pack.replicates, 0)
        self._jobs = {job.replicate: job for job in pack.jobs}
        self._stopping = frozenset()
        self.stopwatch.start(len(pack.jobs))
        self._calls.append(self._actor.begin.remote(pack, data, _read_checkpoints(pack)))

    def stop(self, replicate: Replicate) -> None:
        """Ask a replicate to end, with the next call that is made."""
        self._stopping |= {replicate}

    def keep_busy(self) -> None:
        """Ask for the next epochs."""
        while self.under_way and len(self._calls) < _CALLS_AHEAD:
            self._calls.append(self._actor.advance.remote(self._stopping))

    def receive(self) -> EpochReport | Result | None:
        """Take what the next call brought, files included; None where it was no news of a replicate.

        Raises:
            RayError: The worker is dead, or its node.
            ExecutionError: It runs on other versions than the conductor.
        """
        answer = self._ray.get(self._calls[0])
        self._calls.popleft()
        if not self.ready:
            _check_versions(answer)
            self.ready = True
            return None
        step: Step | None = answer
        if step is None:
            return None
        self.stopwatch.hear()
        event, content = step
        if isinstance(event, EpochReport):
            self.under_way[event.replicate] = event.epoch + 1
            _keep_checkpoint(self._jobs[event.replicate], content)
            return event
        del self.under_way[event.replicate]
        if not self.under_way:
            # The calls ahead find nothing to train, and what they bring is of no interest.
            self._calls.clear()
        if event.outcome == "paused":
            _keep_checkpoint(self._jobs[event.replicate], content)
            return event
        return _keep_weights(self._jobs[event.replicate], event, content)

    def lost_results(self, error: Exception) -> list[Result]:
        """Return the results of the replicates that this worker took with it."""
        reason = cause_of_death(error)
        return [
            Result(trial, seed, "lost", reason, epochs, {})
            for (trial, seed), epochs in self.under_way.items()
        ]

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        self._ray.kill(self._actor)


def cause_of_death(error: Exception) -> str:
    """Say what Ray knows of a worker's end, without identifiers and guesses."""
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("\t")]
    known = " ".join(line for line in lines if line and line != _BEFORE_EVERY_CAUSE)
    words = _ID.sub("", known.split(" Some common causes include")[0])
    return f"worker died: {words or type(error).__name__}"


def _read_checkpoints(pack: Pack) -> dict[Replicate, bytes]:
    kept = {}
    for job in pack.jobs:
        if job.checkpointing is not None:
            with contextlib.suppress(OSError):
                kept[job.replicate] = Path(job.checkpointing.path).read_bytes()
    return kept


def _keep_checkpoint(job: Job, content: bytes) -> None:
    if content and job.checkpointing is not None:
        # Without it the training goes on as well; the journal will say if the disk is full.
        with contextlib.suppress(OSError):
            write_whole(content, job.checkpointing.path)


def _keep_weights(job: Job, result: Result, weights: bytes) -> Result:
    if not weights or job.weights_path is None:
        return result
    try:
        write_whole(weights, job.weights_path)
    except OSError as error:
        return replace(result, outcome="failed", reason=describe_failure(error), metrics={})
    return result


def _check_versions(theirs: dict[str, str]) -> None:
    ours = find_versions()
    if theirs != ours:
        raise ExecutionError(
            f"A worker of the Ray cluster has {_shown(theirs)}, this machine {_shown(ours)}. "
            "Install the same on all machines: a study compares networks trained alike."
        )


def _shown(versions: dict[str, str]) -> str:
    return " and ".join(f"{name} {version}" for name, version in versions.items())
