"""Evaluation: loss and accuracy of a network on a split, in evaluation mode."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn

from archsearch.architecture import Architecture
from archsearch.data import load_dataset
from archsearch.data.module import EvaluationBatches, ImageDataModule
from archsearch.models import build_network
from archsearch.training.measures import measure_latency
from archsearch.training.module import Classifier
from archsearch.training.values import Job
from archsearch.training.weights import read_weights

# With either of two work spaces cuBLAS gives the same bits each time; this is the larger and faster one.
_CUBLAS_VARIABLE, _CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network says about a split.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Share of images classified rightly.
        logits: ``[N, classes]``.
        labels: ``[N]``.
    """

    loss: float
    accuracy: float
    logits: Tensor
    labels: Tensor

    @property
    def error(self) -> float:
        """Share of images classified wrongly."""
        return 1 - self.accuracy


# Made once: a Fabric looks through all installed packages for callbacks, about 8 ms. It gives the device, the
# precision, the backward pass and the clipping; nothing is set up with it, for on one device its wrappers
# only cost time (0.1 ms a step), and it would keep every LightningModule for ever, as a callback.
@cache
def build_fabric(device: str, precision: str) -> Fabric:
    """Build the Fabric of one device, in float32 or (``bf16``) in mixed precision."""
    settle_arithmetic(device)
    # A batch system's variables must not make it part of a group.
    environment = LightningEnvironment()
    return Fabric(accelerator=device, devices=1, plugins=[build_precision(device, precision), environment])


def settle_arithmetic(device: str) -> None:
    """Settle for the whole process what else decides on the arithmetic of CUDA.

    float32 is float32: torch's default lets convolutions, but not products of matrices, round to TF32, so
    that ``precision: 32`` would mean one thing on a GPU and another on a CPU; who wants tensor cores takes
    bf16. And cuDNN chooses its kernels by shape and not by timing them: networks are compared with each
    other, and what is fastest on a GPU that others use at the same time is chance.
    """
    if device == "cuda":
        # torch's annotations lack it
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.benchmark = False


def settle_determinism(deterministic: bool) -> None:
    """Allow the whole process only operations that give the same bits each time, or all of them again.

    cuBLAS reads its variable when it is first used: a process that has computed on CUDA without it cannot
    become deterministic, and torch says so when it is to multiply.
    """
    if deterministic:
        os.environ.setdefault(_CUBLAS_VARIABLE, _CUBLAS_WORKSPACE)
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic = deterministic


def build_precision(device: str, precision: str) -> Precision:
    """Build the plugin for ``32`` or ``bf16``."""
    # As an object, and not by its name, for by its name Fabric prints a line.
    return MixedPrecision("bf16-mixed", device) if precision == "bf16" else Precision()


def evaluate_split(fabric: Fabric, module: Classifier, batches: EvaluationBatches) -> Evaluation:
    """Evaluate one network, see `evaluate_each`."""
    (found,) = evaluate_each(fabric, module, batches)
    return found


def evaluate_each(fabric: Fabric, module: Classifier, batches: EvaluationBatches) -> list[Evaluation]:
    """Evaluate each network of a module on all batches; the module is left in evaluation mode.

    Where several ranks train together each takes some of the batches, and all return the same: what one
    process alone finds with such a network.
    """
    module.eval()
    found = []
    with torch.inference_mode():
        for number, batch in enumerate(batches.part(fabric.global_rank, fabric.world_size)):
            with fabric.autocast():
                step = module.validation_step(batch, number)
            found.append((step["loss"], step["logits"]))
    losses, logits = zip(*_gather(fabric, found), strict=True)
    labels, whole = batches.labels, torch.cat(logits)
    means = mean_losses(losses, [len(batch) for batch in logits])
    own = whole.view(len(labels), len(means), -1).unbind(1)
    return [
        Evaluation(loss, count_accuracy(each.argmax(1), labels), each, labels)
        for loss, each in zip(means, own, strict=True)
    ]


def _gather(fabric: Fabric, found: Sequence[tuple[Tensor, ...]]) -> Sequence[tuple[Tensor, ...]]:
    """Bring together what all ranks found, in the order of the batches."""
    if fabric.world_size == 1:
        return found
    parts: list[Any] = [None] * fabric.world_size
    dist.all_gather_object(parts, [tuple(tensor.cpu() for tensor in batch) for batch in found])
    rounds = chain.from_iterable(zip_longest(*parts))
    return [tuple(tensor.to(fabric.device) for tensor in batch) for batch in rounds if batch is not None]


def average_over_ranks(fabric: Fabric, figures: Sequence[float], images: int) -> tuple[list[float], int]:
    """Return the means over all images of figures that each rank has of its own, and the number of all."""
    if fabric.world_size == 1:
        return list(figures), images
    sums = torch.tensor([*(figure * images for figure in figures), images], dtype=torch.float64)
    dist.all_reduce(sums := sums.to(fabric.device))
    *totals, count = sums.tolist()
    return [total / count for total in totals], round(count)


def mean_losses(losses: Sequence[Tensor], sizes: Sequence[int]) -> list[float]:
    """Return each network's mean over images, from its mean losses of batches; reads the device once.

    Args:
        losses: Of each batch: a scalar, or ``[K]`` of several networks.
        sizes: Images of each batch.
    """
    weights = torch.tensor(sizes, dtype=torch.float64)[:, None]
    rows = torch.stack(tuple(losses)).cpu().double().view(len(sizes), -1)
    means: list[float] = ((rows * weights).sum(0) / weights.sum()).tolist()
    return means


def count_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Count right predictions, as a share."""
    return int((predictions == labels).sum()) / len(labels)


def load_network(
    architecture: Architecture, input_shape: tuple[int, ...], classes: int, *, weights_path: str
) -> nn.Module:
    """Build a network and give it the weights of a finished training; it comes in evaluation mode.

    Raises:
        RunFolderError: The file is missing, damaged, or of another network.
    """
    network = _build_for_weights(architecture, input_shape, classes)
    read_weights(network, weights_path)
    return network.eval()


def _build_for_weights(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    # Its random initialisation is overwritten, and must not shift the random numbers of the caller.
    with torch.random.fork_rng(devices=[]):
        return build_network(architecture, input_shape, classes)


class FinalEvaluator:
    """Evaluates finished trainings on the test split, one after the other.

    A network is built anew only where the architecture is not that of the training before, and the latency
    of each architecture is measured once: it does not depend on the weights. It is that of one image on this
    machine, whichever has trained the network: of all networks of a study it is measured in one process,
    after the last of them was trained.
    """

    def __init__(self) -> None:
        self._built: tuple[Hashable, nn.Module] | None = None
        self._latencies_ms: dict[Hashable, float] = {}

    def evaluate(
        self, job: Job, weights_path: str | Path, *, latency_ms: float | None = None
    ) -> dict[str, float]:
        """Return a training's test_error, test_accuracy, test_loss and latency_ms.

        Args:
            job: What was trained.
            weights_path: The weights that it ended with.
            latency_ms: Where it was measured already.

        Raises:
            RunFolderError: The file is missing, damaged, or of another network.
        """
        torch.set_num_threads(job.compute.threads)
        settle_determinism(job.training.deterministic)
        dataset = load_dataset(job.data)
        shape, classes = dataset.input_shape, dataset.num_classes
        key = (job.architecture.id, job.compute, shape, classes)
        if self._built is None or self._built[0] != (key, job.training.gradient_checkpointing):
            network = _build_for_weights(job.architecture, shape, classes)
            self._built = (key, job.training.gradient_checkpointing), network
        network = self._built[1]
        read_weights(network, weights_path)
        # The GPUs that trained it may be those of a cluster.
        lacking = job.compute.device == "cuda" and not torch.cuda.is_available()
        fabric = build_fabric("cpu" if lacking else job.compute.device, job.compute.precision)
        module = Classifier(network, job.training, steps_per_epoch=1, channels_last=job.compute.channels_last)
        module.to(fabric.device)
        batches = ImageDataModule(dataset, job.training, job.seed, fabric.device).test_dataloader()
        found = evaluate_split(fabric, module, batches)
        if latency_ms is None:
            latency_ms = self._latencies_ms.get(key)
        if latency_ms is None:
            with fabric.autocast():
                latency_ms = measure_latency(module, next(iter(batches))[0][:1])
        self._latencies_ms[key] = latency_ms
        errors = {"test_error": found.error, "test_accuracy": found.accuracy, "test_loss": found.loss}
        return {**errors, "latency_ms": latency_ms}
