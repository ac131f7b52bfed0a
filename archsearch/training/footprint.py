"""The memory that a training takes, estimated before it runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.models.step_memory import Arithmetic, trace_step
from archsearch.study.settings import TrainingSettings
from archsearch.training.values import Compute

_MIB = 2**20

# On CPUs glibc keeps freed blocks of up to 32 MiB (its largest M_MMAP_THRESHOLD) for later ones: at its peak
# resident memory stood 10 times the largest such tensor above what tensors took (median of 14 networks).
_HELD_BLOCKS = 10
_LARGEST_HELD = 32 * _MIB


@dataclass(frozen=True)
class Footprint:
    """What a training takes of its device's memory, in MiB; of a pack, all of its replicates together.

    Attributes:
        weights_mib: Parameters and buffers.
        optimizer_mib: What the optimizer keeps of each parameter.
        saved_mib: What autograd keeps from the forward to the backward pass of a batch.
        tensors_mib: The most that all tensors take at a time: these, and gradients.
        peak_mib: The most that the process takes for them, on CPUs with freed memory that it holds.
    """

    weights_mib: float
    optimizer_mib: float
    saved_mib: float
    tensors_mib: float
    peak_mib: float


def estimate_footprint(
    architecture: Architecture, training: TrainingSettings, dataset: Dataset, compute: Compute
) -> Footprint:
    """Estimate the memory of a training: a step is traced without computing anything.

    Left out are the data set, which is on the device as it is, and the libraries.

    Raises:
        ArchitectureError: The input does not fit the layout.
    """
    images = min(training.batch_size, len(dataset.train))
    cuda = compute.device == "cuda" and torch.cuda.is_available()
    arithmetic = Arithmetic(
        images, compute.precision, "cuda" if cuda else "cpu", recomputing=training.gradient_checkpointing
    )
    parts = trace_step(architecture, dataset.input_shape, dataset.num_classes, arithmetic)
    parameters = sum(part.parameter_bytes for part in parts)
    weights = parameters + sum(part.buffer_bytes for part in parts)
    saved = sum(part.kept_bytes for part in parts)
    # In the backward pass, last part first: what is still kept, what is at work, the gradients so far.
    left, gradients, busiest = saved, 0, 0
    for part in reversed(parts):
        gradients += part.parameter_bytes
        busiest = max(busiest, left + part.passing_bytes + gradients)
        left -= part.kept_bytes
    optimizer = parameters * _copies_in_optimizer(training)
    # images beside those that are kept: before augmentation, or in another memory format
    batch = 4 * images * torch.Size(dataset.input_shape).numel()
    tensors = weights + optimizer + batch + busiest
    largest = compute.pack * max(part.largest_bytes for part in parts)
    held = _HELD_BLOCKS * min(largest, _LARGEST_HELD) if compute.device == "cpu" else 0
    scale = compute.pack / _MIB
    return Footprint(
        weights_mib=weights * scale,
        optimizer_mib=optimizer * scale,
        saved_mib=saved * scale,
        tensors_mib=tensors * scale,
        peak_mib=tensors * scale + held / _MIB,
    )


def _copies_in_optimizer(training: TrainingSettings) -> int:
    """Values that the optimizer keeps for each parameter: its momentum, or both moments of adam."""
    if training.optimizer == "sgd":
        return 1 if training.momentum else 0
    return 2
