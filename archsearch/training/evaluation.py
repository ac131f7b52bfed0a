"""Evaluation: loss and accuracy of a network on a split, in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn

from archsearch.architecture import Architecture
from archsearch.data import load_dataset
from archsearch.data.module import EvaluationBatches, ImageDataModule
from archsearch.models import build_network
from archsearch.training.module import Classifier
from archsearch.training.values import Job
from archsearch.training.weights import read_weights


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
    # As an object, and not by its name, for by its name Fabric prints a line.
    plugin = MixedPrecision("bf16-mixed", device) if precision == "bf16" else Precision()
    # Each job has a device to itself; a batch system's variables must not make it part of a group.
    return Fabric(accelerator=device, devices=1, plugins=[plugin, LightningEnvironment()])


def evaluate_split(fabric: Fabric, module: Classifier, batches: EvaluationBatches) -> Evaluation:
    """Evaluate on all batches; the module is left in evaluation mode."""
    module.eval()
    losses, logits, labels = [], [], []
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            with fabric.autocast():
                step = module.validation_step(batch, number)
            losses.append(step["loss"])
            logits.append(step["logits"])
            labels.append(batch[1])
    all_logits, all_labels = torch.cat(logits), torch.cat(labels)
    loss = mean_loss(losses, [len(batch) for batch in labels])
    return Evaluation(loss, count_accuracy(all_logits.argmax(1), all_labels), all_logits, all_labels)


def mean_loss(losses: list[Tensor], sizes: list[int]) -> float:
    """Return the mean over images of the mean losses of batches of these sizes; reads the device once."""
    (loss,) = mean_losses(losses, sizes)
    return loss


def mean_losses(losses: list[Tensor], sizes: list[int]) -> list[float]:
    """Do the same where each batch has the losses of several networks, ``[K]``; returns K means."""
    weights = torch.tensor(sizes, dtype=torch.float64)[:, None]
    rows = torch.stack(losses).double().cpu().view(len(sizes), -1)
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


def evaluate_test(job: Job, weights_path: str) -> dict[str, float]:
    """Evaluate a finished training on the test split: test_error, test_accuracy, test_loss."""
    torch.set_num_threads(job.compute.threads)
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
    found = evaluate_split(fabric, module, data.test_dataloader())
    return {"test_error": found.error, "test_accuracy": found.accuracy, "test_loss": found.loss}
