"""When the state of a training is kept, and how one goes on from it.

The rule. State is written at the end of an epoch, when since the last time (or the beginning) the training
took at least

- `Checkpointing.every_s` seconds, 10 unless a study sets them: what is over sooner writes none; and
- fifty times as long as writing took the last time: it costs 2 % of the training at most.

With ``every_s`` 0 it is written at the end of every epoch, whatever that costs. Epochs trained since are
trained again after a crash. A state that cannot be written ends no training: it is as if none were due.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from safetensors import SafetensorError
from torch import Tensor
from torch.optim import Optimizer

from archsearch.data import load_dataset
from archsearch.errors import CheckpointError
from archsearch.training.checkpoint import (
    Checkpoint,
    ParameterState,
    identify,
    is_of,
    join_states,
    read_checkpoint,
    save_checkpoints,
)
from archsearch.training.group import Group, load_job_plugins
from archsearch.training.packing import select_state
from archsearch.training.values import EpochReport, Job, Replicate

_COST_FRAC = 0.02


@dataclass(frozen=True, eq=False)
class Start:
    """Where replicates that are trained together begin.

    Attributes:
        epochs: How many are trained already; the same for all of them.
        checkpoints: Their states, where that is above 0.
        notes: What a result should say of it.
    """

    epochs: int = 0
    checkpoints: Mapping[Replicate, Checkpoint] = field(default_factory=dict)
    notes: Mapping[Replicate, str] = field(default_factory=dict)

    def recall(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, EpochReport]]:
        """Give the reports of the epochs that are trained already, epoch by epoch."""
        for epoch in range(self.epochs):
            for job in jobs:
                told = self.checkpoints[job.replicate].reports[epoch]
                profile = {name: tuple(values) for name, values in told["profile"].items()}
                yield (
                    job,
                    EpochReport(job.trial, job.seed, epoch, told["metrics"], profile, recalled=True),
                )


def find_starts(jobs: Sequence[Job], fabric: Fabric | None) -> list[tuple[list[Job], Start]]:
    """Read the states that jobs may go on from; those that are at different epochs cannot go on together.

    A state that is damaged, or of another training, is none.

    Raises:
        Exception: Whatever loading the data of the first job raises.
    """
    if all(job.checkpointing is None for job in jobs):
        return [(list(jobs), Start())]
    load_job_plugins(jobs[0])
    fingerprint = load_dataset(jobs[0].data).fingerprint
    together: dict[int, list[Job]] = defaultdict(list)
    checkpoints: dict[Replicate, Checkpoint] = {}
    notes: dict[Replicate, str] = {}
    for job in jobs:
        found, note = _find(job, fingerprint)
        if not _agree(fabric, found.epochs if found else 0):
            found, note = None, say_unused("the devices found different ones")
        if found:
            checkpoints[job.replicate] = found
            note = f"went on after epoch {found.epochs} of an earlier attempt"
        if note:
            notes[job.replicate] = note
        together[found.epochs if found else 0].append(job)
    return [(some, Start(epochs, checkpoints, notes)) for epochs, some in sorted(together.items())]


def _find(job: Job, fingerprint: str) -> tuple[Checkpoint | None, str]:
    if job.checkpointing is None:
        return None, ""
    try:
        return read_checkpoint(job.checkpointing.path, identify(job, fingerprint)), ""
    except FileNotFoundError:
        return None, ""
    except CheckpointError as error:
        return None, say_unused(error)


def say_unused(why: object) -> str:
    """Say in a result's note that a training began anew although there was a state."""
    return f"began anew, as an earlier attempt's state could not be used: {why}"


def _agree(fabric: Fabric | None, epochs: int) -> bool:
    """Whether all ranks found the same."""
    if fabric is None or fabric.world_size == 1:
        return True
    found: list[Any] = [None] * fabric.world_size
    dist.all_gather_object(found, epochs)
    return len(set(found)) == 1


def restore(group: Group, start: Start) -> None:
    """Bring a group that was just built to where its states are.

    Raises:
        CheckpointError: They are not of its network; nothing was changed.
    """
    checkpoints = [start.checkpoints[replicate.job.replicate] for replicate in group.replicates]
    for replicate, checkpoint in zip(group.replicates, checkpoints, strict=True):
        if not is_of(checkpoint, replicate.module.network.state_dict()):
            raise CheckpointError("it is of a network with other weights")
    for replicate, checkpoint in zip(group.replicates, checkpoints, strict=True):
        # into the tensors that are there: packed, they are windows on those of the whole
        replicate.module.network.load_state_dict(checkpoint.network)
        replicate.clock.seconds = checkpoint.figures["seconds"]
        replicate.clock.images = round(checkpoint.figures["images"])
        replicate.last = dict(checkpoint.last)
    group.earlier_peak_mib = sum(checkpoint.figures["peak_mib"] for checkpoint in checkpoints)
    _restore_optimizer(
        group.step.optimizer, join_states([checkpoint.optimizer for checkpoint in checkpoints])
    )
    group.step.skip(start.epochs * group.module.steps_per_epoch)


def _restore_optimizer(optimizer: Optimizer, states: Mapping[int, ParameterState]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = {
        index: {name: _like(tensor, parameters[index]) for name, tensor in state.items()}
        for index, state in states.items()
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})


def _like(tensor: Tensor, parameter: Tensor) -> Tensor:
    # fused optimizers walk through the memory of both, which must have one order
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor


def take_states(
    group: Group, reports: Mapping[Replicate, Sequence[dict[str, Any]]], fingerprint: str
) -> dict[Replicate, Checkpoint]:
    """Copy the state of each replicate of a group, which stands between two epochs."""
    whole, count = group.step.optimizer.state_dict(), len(group.replicates)
    states = {}
    for index, replicate in enumerate(group.replicates):
        own = select_state(whole, [index], of=count)["state"] if count > 1 else whole["state"]
        states[replicate.job.replicate] = Checkpoint(
            identity=identify(replicate.job, fingerprint),
            reports=tuple(reports[replicate.job.replicate]),
            network=_copied(replicate.module.network.state_dict()),
            optimizer={parameter: _copied(kept) for parameter, kept in own.items()},
            figures={
                "seconds": replicate.clock.seconds,
                "images": float(replicate.clock.images),
                "peak_mib": group.peak_mib / group.size,
            },
            last=dict(replicate.last),
        )
    return states


def _copied(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    # what is no tensor is None: momentum before its first step
    return {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor)
    }


class Checkpoints:
    """Keeps the states of jobs that are trained together, as often as the rule above says.

    Args:
        jobs: They are kept alike.
        start: Where they begin.

    Attributes:
        note: Why a state could not be written; empty while all could.
    """

    def __init__(self, jobs: Sequence[Job], start: Start) -> None:
        self.note = ""
        self._paths = {job.replicate: job.checkpointing.path for job in jobs if job.checkpointing}
        self._every_s = min((job.checkpointing.every_s for job in jobs if job.checkpointing), default=0.0)
        self._fingerprint = load_dataset(jobs[0].data).fingerprint if self._paths else ""
        self._reports: dict[Replicate, list[dict[str, Any]]] = {
            job.replicate: list(start.checkpoints[job.replicate].reports) if start.epochs else []
            for job in jobs
        }
        self._due_s = self._every_s
        self._began = time.monotonic()

    def note_epoch(self, job: Job, metrics: Mapping[str, float], profile: Mapping[str, Any]) -> None:
        """Remember what an epoch showed."""
        self._reports[job.replicate].append({"metrics": dict(metrics), "profile": dict(profile)})

    def write_if_due(self, group: Group) -> None:
        """Write the states of those that are still in training, at the end of an epoch, if it is time."""
        if time.monotonic() - self._began >= self._due_s:
            self.write(group)

    def write(self, group: Group) -> None:
        """Write them now, of several ranks the first."""
        if not self._paths or not group.fabric.is_global_zero:
            return
        before = time.monotonic()
        states = take_states(group, self._reports, self._fingerprint)
        try:
            save_checkpoints({self._paths[replicate]: state for replicate, state in states.items()})
        except (OSError, SafetensorError) as error:
            self.note = f"its state could not be kept: {error}"
        self._began = time.monotonic()
        self._due_s = max(self._every_s, (self._began - before) / _COST_FRAC) if self._every_s else 0.0
