"""What runs in a worker process of a Ray cluster: trainings, an epoch a call.

A worker is an actor and not a task: it keeps its imports, its devices and its data from job to job (Ray ends
the process of a task that used a GPU, and a task cannot be told to stop after its epoch).
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shutil
import tempfile
from pathlib import Path
from typing import Any

from archsearch.data import give_dataset
from archsearch.execution.course import Course
from archsearch.execution.protocol import Train
from archsearch.execution.shipping import assemble
from archsearch.training.memory import limit_memory
from archsearch.training.values import EpochReport, Job, Pack, Replicate, Result

Step = tuple[EpochReport | Result, bytes]
"""What an epoch came to, and a file of the replicate's where there is a new one.

With a report and where it pauses that is its checkpoint, else with a result the trained weights.
"""


class RayWorker:
    """Trains one job or pack at a time. Ray makes it an actor, with the CPUs and GPUs of one trial.

    Args:
        train: The training.
        sharing: Workers, with this one, that share a GPU, each with an equal part of its memory.
    """

    def __init__(self, train: Train, sharing: int = 1) -> None:
        self._train = train
        self._sharing = sharing
        self._course: Course | None = None
        self._folder = Path()
        self._sent: dict[Replicate, int] = {}

    def versions(self) -> dict[str, str]:
        """What must be the same on all machines."""
        return find_versions()

    def begin(self, pack: Pack, data: dict[str, Any], kept: dict[Replicate, bytes]) -> Step | None:
        """Train the first epoch of a pack, on the data of `disassemble`, going on from what is kept of it."""
        if pack.jobs[0].compute.device == "cuda" and self._sharing > 1:
            limit_memory(self._sharing)
        give_dataset(pack.jobs[0].data, assemble(data))
        # The paths that jobs name are of the conductor's disk.
        self._folder = Path(tempfile.mkdtemp(prefix="archsearch-"))
        for replicate, content in kept.items():
            self._checkpoint(replicate).write_bytes(content)
        self._sent = {replicate: self._written_at(replicate) for replicate in pack.replicates}
        self._course = Course(Pack(tuple(self._saving_here(job) for job in pack.jobs)), self._train)
        return self.advance(frozenset())

    def advance(self, stopping: frozenset[Replicate]) -> Step | None:
        """Train up to the next news, or stop whose turn it is; None where the pack has already ended."""
        course = self._course
        if course is None:
            return None
        event = course.advance(stop=course.turn in stopping)
        content = self._news_of(event)
        if course.ended:
            self._course = None
            shutil.rmtree(self._folder, ignore_errors=True)
        return event, content

    def _news_of(self, event: EpochReport | Result) -> bytes:
        replicate = event.replicate
        if isinstance(event, Result):
            path = self._checkpoint(replicate) if event.outcome == "paused" else self._weights(replicate)
            return path.read_bytes() if path.exists() else b""
        if (written := self._written_at(replicate)) == self._sent[replicate]:
            return b""
        self._sent[replicate] = written
        return self._checkpoint(replicate).read_bytes()

    def _saving_here(self, job: Job) -> Job:
        if job.weights_path is not None:
            job = dataclasses.replace(job, weights_path=str(self._weights(job.replicate)))
        if job.checkpointing is not None:
            here = dataclasses.replace(job.checkpointing, path=str(self._checkpoint(job.replicate)))
            job = dataclasses.replace(job, checkpointing=here)
        return job

    def _weights(self, replicate: Replicate) -> Path:
        return self._folder / "{}-{}.weights".format(*replicate)

    def _checkpoint(self, replicate: Replicate) -> Path:
        return self._folder / "{}-{}.checkpoint".format(*replicate)

    def _written_at(self, replicate: Replicate) -> int:
        path = self._checkpoint(replicate)
        return path.stat().st_mtime_ns if path.exists() else 0


def find_versions() -> dict[str, str]:
    """Return the versions that a study's arithmetic depends on; CUDA's part of torch's is left out."""
    return {name: importlib.metadata.version(name).split("+")[0] for name in ("archsearch", "torch")}
