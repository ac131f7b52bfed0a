"""A replicate's state between two epochs, on disk: what is in it, and how a wrong or damaged one is noticed.

A file of safetensors, in which nothing can run code. Its tensors are the parameters and buffers of the single
network, packed or not, and what the optimizer keeps of each parameter. Its metadata hold, as JSON, what it is
of, the number of epochs trained, their reports, the clock, and a SHA-256 over all of that and the tensors.

No state of a random generator is kept, for none is carried from epoch to epoch: order, augmentation, dropout
and drop_path of each epoch are drawn from streams that begin with it, by (seed, epoch). Nor is that of the
schedule, whose rate follows from the number of the step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from archsearch.errors import CheckpointError
from archsearch.training.saving import replace_files
from archsearch.training.values import Job

FORMAT = 1
_NETWORK, _OPTIMIZER = "network.", "optimizer."

ParameterState = dict[str, Tensor]
"""What an optimizer keeps of one parameter, by its own names."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of one replicate after some epochs.

    Attributes:
        identity: What it is of, see `identify`.
        reports: Metrics and profile of each epoch.
        network: Parameters and buffers by name.
        optimizer: By the parameter's place.
        figures: What the result sums up over all epochs: seconds and images of training, its share of the
            peak memory.
        last: What was found on the validation split after the last epoch.
    """

    identity: dict[str, Any]
    reports: tuple[dict[str, Any], ...]
    network: dict[str, Tensor]
    optimizer: dict[int, ParameterState]
    figures: dict[str, float]
    last: dict[str, float]

    @property
    def epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.reports)


def identify(job: Job, data_fingerprint: str) -> dict[str, Any]:
    """Return what decides on a training's course, in JSON's values."""
    identity = {
        "format": FORMAT,
        "architecture": job.architecture.id,
        "training": job.training.model_dump(mode="json"),
        "data": data_fingerprint,
        "seed": job.seed,
        "precision": job.compute.precision,
    }
    restored: dict[str, Any] = json.loads(json.dumps(identity))
    return restored


def save_checkpoints(checkpoints: Mapping[str, Checkpoint]) -> None:
    """Save states by their paths: all of those that are trained together, as good as at once.

    Raises:
        OSError: The disk is full or read-only; earlier states stay.
    """
    replace_files({Path(path): _Writer(checkpoint) for path, checkpoint in checkpoints.items()})


@dataclass(frozen=True)
class _Writer:
    checkpoint: Checkpoint

    def __call__(self, path: Path) -> None:
        checkpoint = self.checkpoint
        tensors = {f"{_NETWORK}{name}": tensor for name, tensor in checkpoint.network.items()}
        for index, kept in checkpoint.optimizer.items():
            tensors |= {f"{_OPTIMIZER}{index}.{name}": tensor for name, tensor in kept.items()}
        body = json.dumps(
            {
                "identity": checkpoint.identity,
                "reports": checkpoint.reports,
                "figures": checkpoint.figures,
                "last": checkpoint.last,
            }
        )
        save_file(tensors, path, metadata={"state": body, "sha256": _digest(body, tensors)})


def read_checkpoint(path: str | Path, identity: Mapping[str, Any]) -> Checkpoint:
    """Read a state that must be of a certain training.

    Raises:
        FileNotFoundError: There is none.
        CheckpointError: It is damaged, of another format, or of another training.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        body, expected = metadata["state"], metadata["sha256"]
    except FileNotFoundError:
        raise
    # of the library, of the system, of Python: a damaged file fails in many ways
    except Exception as error:
        raise CheckpointError(f"it is damaged ({type(error).__name__}: {error})") from error
    if _digest(body, tensors) != expected:
        raise CheckpointError("it is damaged (it does not match its checksum)")
    state = json.loads(body)
    differing = [key for key, value in identity.items() if state["identity"].get(key) != value]
    if differing:
        raise CheckpointError(f"it is of another {' and '.join(differing)}")
    network, optimizer = _sort(tensors)
    return Checkpoint(
        state["identity"], tuple(state["reports"]), network, optimizer, state["figures"], state["last"]
    )


def _sort(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[int, ParameterState]]:
    network: dict[str, Tensor] = {}
    optimizer: dict[int, ParameterState] = {}
    for name, tensor in tensors.items():
        if name.startswith(_NETWORK):
            network[name.removeprefix(_NETWORK)] = tensor
        else:
            index, _, own = name.removeprefix(_OPTIMIZER).partition(".")
            optimizer.setdefault(int(index), {})[own] = tensor
    return network, optimizer


def _digest(body: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(body.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def is_of(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the state is of a network with these tensors; a plugin's block may have changed since."""
    shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    return shapes == {name: (tensor.shape, tensor.dtype) for name, tensor in checkpoint.network.items()}


def join_states(states: Sequence[Mapping[int, ParameterState]]) -> dict[int, ParameterState]:
    """Put what optimizers keep of several networks together, as that of the packed network keeps it."""
    first = states[0]
    return {
        index: {
            # a step count is one number for all
            name: torch.cat([state[index][name] for state in states]) if tensor.ndim else tensor
            for name, tensor in kept.items()
        }
        for index, kept in first.items()
    }
