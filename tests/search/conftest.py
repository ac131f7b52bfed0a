"""A conductor whose trainings are looked up instead of run."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

import pytest

from archsearch.journal import Journal, Record, RunFolder, StudyHistory
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.study import StudyConfig, parse_study
from archsearch.training import Compute, EpochReport, Job, Pack, Result
from archsearch.training.values import as_pack

Curve = Callable[[Job], list[float]]


def hashed_curve(job: Job) -> list[float]:
    """A rising accuracy that depends on network, learning rate and seed alone."""
    key = f"{job.architecture.id}/{job.training.learning_rate!r}/{job.seed}".encode()
    final = int.from_bytes(hashlib.sha256(key).digest()[:4], "big") / 2**32
    return [final * (epoch + 1) / job.training.epochs for epoch in range(job.training.epochs)]


class TableExecutor:
    """Answers jobs from a function, one epoch of each running job in turn.

    Attributes:
        trained: Trial and seed of every job submitted.
        packs: The same, by what was submitted together.
        losses: How many jobs from now on are lost with their worker.
        epochs_trained: In all, those that a paused job goes on from left out.
        note: Of every result.
    """

    def __init__(self, slots: int = 1, curve: Curve = hashed_curve) -> None:
        self.slots = slots
        self.trained: list[tuple[int, int]] = []
        self.packs: list[list[tuple[int, int]]] = []
        self.losses = 0
        self.note = ""
        self._curve = curve
        self._jobs: deque[tuple[Job, list[float]]] = deque()
        self._pack_of: dict[tuple[int, int], int] = {}
        self._stopped: set[tuple[int, int]] = set()
        self._paused: dict[tuple[int, int], int] = {}
        self.epochs_trained = 0

    def submit(self, work: Job | Pack) -> None:
        pack = as_pack(work)
        self.packs.append(list(pack.replicates))
        self.trained += pack.replicates
        self._jobs += [(job, []) for job in pack.jobs]
        self._pack_of.update(dict.fromkeys(pack.replicates, len(self.packs)))
        assert len({self._pack_of[job.replicate] for job, _ in self._jobs}) <= self.slots

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        if not self._jobs or timeout_s == 0:
            return None
        job, done = self._jobs.popleft()
        at = (job.trial, job.seed)
        if self.losses:
            self.losses -= 1
            return Result(*at, "lost", "worker died: killed by signal 9", len(done), {})
        if at in self._stopped:
            return Result(*at, "stopped", "", len(done), {})
        curve = self._curve(job)
        if len(done) == job.pause_after and len(done) < len(curve):
            self._paused[at] = len(done)
            return Result(*at, "paused", "", len(done), {})
        if len(done) < len(curve):
            recalled = len(done) < self._paused.get(at, 0)
            self.epochs_trained += not recalled
            done.append(curve[len(done)])
            self._jobs.append((job, done))
            accuracy = done[-1]
            if accuracy != accuracy:
                self._jobs.pop()
                return Result(*at, "failed", f"not a number in epoch {len(done)}", len(done) - 1, {})
            metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy}
            return EpochReport(*at, len(done) - 1, metrics, recalled=recalled)
        accuracy = done[-1]
        metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy, "train_error": (1 - accuracy) / 2}
        return Result(*at, "complete", "", len(done), metrics, self.note)

    def stop(self, trial: int, seed: int) -> None:
        self._stopped.add((trial, seed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Laboratory:
    """Runs studies in one run folder, again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = RunFolder(folder)

    def run(
        self,
        text: str,
        executor: TableExecutor | None = None,
        listen: Callable[[Record], None] = lambda record: None,
        pack: int = 1,
        device: Literal["cpu", "cuda"] = "cpu",
        undecided: Callable[[StudyConfig, StudyHistory], Sequence[int]] = lambda *_: (),
        winding_down: Callable[[], bool] = lambda: False,
    ) -> Conductor:
        study = parse_study(text, "study.yaml")
        with Journal.open(self.folder.journal) as journal:
            if not journal.records:
                journal.append("study", **self._header(study))
            workplace = Workplace(executor or TableExecutor(), Compute(pack=pack, device=device), self.folder)
            conductor = Conductor(
                study,
                journal,
                workplace,
                listen=listen,
                undecided=undecided,
                winding_down=winding_down,
            )
            if conductor.take_up():
                conductor.record("session")
                conductor.record("finished", reason=conductor.run())
            return conductor

    def keep(self, records: int) -> None:
        """Forget all but the first records, as if the conductor had been killed after them."""
        lines = self.folder.journal.read_bytes().splitlines(keepends=True)
        self.folder.journal.write_bytes(b"".join(lines[:records]))

    def _header(self, study: StudyConfig) -> dict[str, object]:
        return {"name": study.name, "train_images": 1000, "objectives": dict(study.objectives)}


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path / "run")
