"""The training of one replicate, on Lightning Fabric.

A lean loop over the same LightningModule and LightningDataModule that a stock Trainer takes: a Trainer costs
about 3 ms a step whatever the network, more than a step of a small network itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch

from archsearch.architecture import load_plugins
from archsearch.data import load_dataset, load_source_plugins
from archsearch.data.module import ImageDataModule, mix_seed
from archsearch.models import build_network
from archsearch.training.evaluation import build_fabric, count_accuracy, evaluate_split, mean_loss
from archsearch.training.failure import describe_failure
from archsearch.training.measures import (
    build_metrics,
    compute_metrics,
    load_metric_plugins,
    measure_latency,
)
from archsearch.training.memory import MemoryMeter
from archsearch.training.module import Classifier
from archsearch.training.values import EpochReport, Job, Outcome, Result
from archsearch.training.weights import save_weights

# Apart from the stream of the same seed and epoch that orders and augments the images.
_NETWORK_STREAM = 1


def train(job: Job) -> Generator[EpochReport, bool | None, Result]:
    """Train one replicate; a report after each epoch, the result at the end.

    Everything random follows from `job.seed`: on a CPU, two runs of a job give the same bits.
    Sending True after a report ends the training with outcome ``stopped``. Whatever goes wrong is an outcome
    too: ``failed``, with the reason.
    """
    epochs = 0

    def result(outcome: Outcome, reason: str = "", metrics: dict[str, float] | None = None) -> Result:
        return Result(job.trial, job.seed, outcome, reason, epochs, metrics or {})

    try:
        replicate = _Replicate(job)
        while epochs < job.training.epochs:
            metrics = replicate.train_epoch(epochs)
            if not (math.isfinite(metrics["train_loss"]) and math.isfinite(metrics["val_loss"])):
                return result("failed", f"not a number in epoch {epochs}")
            report = EpochReport(job.trial, job.seed, epochs, metrics)
            epochs += 1
            if (yield report):
                return result("stopped", f"asked to stop after {epochs} epochs", replicate.summarize())
        return result("complete", metrics=replicate.finish())
    except Exception as error:  # noqa: BLE001 - failure is an outcome, recorded with its reason
        return result("failed", describe_failure(error))


@dataclass
class _Clock:
    """Seconds and images of the training passes; validation is left out."""

    seconds: float = 0.0
    images: int = 0

    def add(self, seconds: float, images: int) -> float:
        self.seconds += seconds
        self.images += images
        return images / seconds


class _Replicate:
    """A job in training: its network, data, optimizer and clocks."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.compute.threads)
        # Only then: looking through all installed packages takes milliseconds.
        if job.plugins:
            load_plugins(job.plugins)
            load_source_plugins(job.plugins)
            load_metric_plugins(job.plugins)
        self.job = job
        self.fabric = build_fabric(job.compute.device, job.compute.precision)
        self.clock = _Clock()
        self.last: dict[str, float] = {}
        dataset = load_dataset(job.data)
        self.metrics = build_metrics(job.measures, dataset.num_classes)
        self.data = ImageDataModule(dataset, job.training, job.seed, self.fabric.device)
        self.memory = MemoryMeter(self.fabric.device)
        self.fabric.seed_everything(job.seed, verbose=False)
        network = build_network(job.architecture, dataset.input_shape, dataset.num_classes)
        self.module = Classifier(
            network,
            job.training,
            steps_per_epoch=len(self.data.train_dataloader()),
            channels_last=job.compute.channels_last,
        )
        self.module.to(self.fabric.device)
        configured = self.module.configure_optimizers()
        self.scheduler = configured["lr_scheduler"]["scheduler"]
        self.optimizer = configured["optimizer"]

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch and validate; returns the epoch's metrics."""
        torch.manual_seed(mix_seed(self.job.seed, epoch, _NETWORK_STREAM))
        batches = self.data.train_dataloader()
        batches.set_epoch(epoch)
        clip = self.job.training.gradient_clip
        losses, predictions, labels = [], [], []
        self.module.train()
        start = time.perf_counter()
        for number, batch in enumerate(batches):
            with self.fabric.autocast():
                step = self.module.training_step(batch, number)
            self.fabric.backward(step["loss"])
            if clip:
                self.fabric.clip_gradients(
                    self.module, self.optimizer, max_norm=clip, error_if_nonfinite=False
                )
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.scheduler.step()
            losses.append(step["loss"].detach())
            predictions.append(step["predictions"])
            labels.append(batch[1])
        # Reading the loss waits for the device, so the clock stops after it.
        train_loss = mean_loss(losses, [len(batch) for batch in labels])
        all_labels = torch.cat(labels)
        images_per_s = self.clock.add(time.perf_counter() - start, len(all_labels))
        train_accuracy = count_accuracy(torch.cat(predictions), all_labels)
        found = evaluate_split(self.fabric, self.module, self.data.val_dataloader())
        self.memory.sample()
        self.last = {
            "val_loss": found.loss,
            "val_accuracy": found.accuracy,
            "val_error": found.error,
            **compute_metrics(self.metrics, found.logits, found.labels),
        }
        return {
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            **self.last,
            "images_per_s": images_per_s,
        }

    def summarize(self) -> dict[str, float]:
        """Return the last epoch's validation, and what the training took so far."""
        return {
            **self.last,
            "train_time_s": self.clock.seconds,
            "images_per_s": self.clock.images / self.clock.seconds,
            "peak_memory_mib": self.memory.peak_mib(),
        }

    def finish(self) -> dict[str, float]:
        """Evaluate the trained network on its training images, measure what was asked, save the weights."""
        metrics = self.summarize()
        found = evaluate_split(self.fabric, self.module, self.data.train_eval_dataloader())
        metrics |= {"train_error": found.error, "train_loss_eval": found.loss}
        if "latency_ms" in self.job.measures:
            images, _ = next(iter(self.data.val_dataloader()))
            with self.fabric.autocast():
                metrics["latency_ms"] = measure_latency(self.module, images[:1])
        if self.job.weights_path is not None:
            save_weights(self.module.network, self.job.weights_path)
        return metrics
