"""Evaluation: loss and accuracy of a network on a split, in evaluation mode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
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
    """Evaluate on all batches; the module is left in evaluation mode.

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
    all_logits, all_labels = torch.cat(logits), batches.labels
    loss = mean_loss(losses, [len(batch) for batch in logits])
    return Evaluation(loss, count_accuracy(all_logits.argmax(1), all_labels), all_logits, all_labels)


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


def mean_loss(losses: Sequence[Tensor], sizes: Sequence[int]) -> float:
    """Return the mean over images of the mean losses of batches of these sizes; reads the device once."""
    (loss,) = mean_losses(losses, sizes)
    return loss


def mean_losses(losses: Sequence[Tensor], sizes: Sequence[int]) -> list[float]:
    """Do the same where each batch has the losses of several networks, ``[K]``; returns K means."""
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
    # Its random initialisation is overwritten, and must not shift the random numbers of the caller.
    with torch.random.fork_rng(devices=[]):
        network = build_network(architecture, input_shape, classes)
    read_weights(network, weights_path)
    return network.eval()


def evaluate_test(job: Job, weights_path: str, *, latency_ms: float | None = None) -> dict[str, float]:
    """Evaluate a finished training on the test split: test_error, test_accuracy, test_loss, latency_ms.

    The latency is that of one image on this machine, whichever has trained the network: of all networks of a
    study it is measured in one process, after the last of them was trained.

    Args:
        job: What was trained.
        weights_path: The weights that it ended with.
        latency_ms: Where it was measured already, with other weights.
    """
    torch.set_num_threads(job.compute.threads)
    settle_determinism(job.training.deterministic)
    dataset = load_dataset(job.data)
    network = load_network(
        job.architecture, dataset.input_shape, dataset.num_classes, weights_path=weights_path
    )
    # The GPUs that trained it may be those of a cluster.
    device = "cpu" if job.compute.device == "cuda" and not torch.cuda.is_available() else job.compute.device
    fabric = build_fabric(device, job.compute.precision)
    module = Classifier(network, job.training, steps_per_epoch=1, channels_last=job.compute.channels_last)
    module.to(fabric.device)
    data = ImageDataModule(dataset, job.training, job.seed, fabric.device)
    batches = data.test_dataloader()
    found = evaluate_split(fabric, module, batches)
    if latency_ms is None:
        with fabric.autocast():
            latency_ms = measure_latency(module, next(iter(batches))[0][:1])
    errors = {"test_error": found.error, "test_accuracy": found.accuracy, "test_loss": found.loss}
    return {**errors, "latency_ms": latency_ms}
