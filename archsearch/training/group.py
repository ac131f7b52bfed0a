"""Replicates in training together: their networks, batches, optimizer, clocks and memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor

from archsearch.architecture import load_plugins
from archsearch.data import Dataset, load_dataset, load_source_plugins
from archsearch.data.module import EvaluationBatches, ImageDataModule, TrainingBatches, mix_seed
from archsearch.models import build_network
from archsearch.models.shared_norm import share_norms
from archsearch.training.captured import build_training_step
from archsearch.training.evaluation import (
    Evaluation,
    average_over_ranks,
    build_fabric,
    count_accuracy,
    evaluate_each,
    mean_losses,
    settle_determinism,
)
from archsearch.training.measures import (
    build_metrics,
    compute_metrics,
    load_metric_plugins,
    measure_latency,
)
from archsearch.training.memory import MemoryMeter
from archsearch.training.module import Classifier
from archsearch.training.onnx_latency import measure_onnx_latency
from archsearch.training.packing import PackedClassifier, put_side_by_side, select_state
from archsearch.training.sharing import SharedClassifier
from archsearch.training.signals import Profile, Profiler, gradient_ratio
from archsearch.training.values import Job
from archsearch.training.weights import save_weights

# Apart from the stream of the same seed and epoch that orders and augments the images.
_NETWORK_STREAM = 1
# A watched step takes about half as long again; so it costs 3 %.
_STEPS_PER_PROFILE = 16


@dataclass
class _Clock:
    """Seconds and images of the training passes; validation is left out."""

    seconds: float = 0.0
    images: int = 0

    def add(self, seconds: float, images: int) -> float:
        self.seconds += seconds
        self.images += images
        return images / seconds


@dataclass(eq=False)
class _Replicate:
    """What each replicate has for itself, packed or alone."""

    job: Job
    module: Classifier
    batches: TrainingBatches
    clock: _Clock = field(default_factory=_Clock)
    last: dict[str, float] = field(default_factory=dict)


def load_job_plugins(job: Job) -> None:
    """Load what the packages of a job bring."""
    # Only then: looking through all installed packages takes milliseconds.
    if job.plugins:
        load_plugins(job.plugins)
        load_source_plugins(job.plugins)
        load_metric_plugins(job.plugins)


class Group:
    """The replicates that are trained together: one, or several packed into one network.

    Args:
        jobs: They differ in their seed, and in where they save.
        fabric: Of one of several ranks that train a single job together; made where not given.

    Raises:
        PackingError: There are several, and their network cannot be packed.
    """

    def __init__(self, jobs: Sequence[Job], fabric: Fabric | None = None) -> None:
        first = jobs[0]
        torch.set_num_threads(first.compute.threads)
        settle_determinism(first.training.deterministic)
        load_job_plugins(first)
        self.measures = first.measures
        self.fabric = fabric or build_fabric(first.compute.device, first.compute.precision)
        self.ranks = self.fabric.world_size
        assert self.ranks == 1 or len(jobs) == 1, "a pack is trained by one process"
        dataset = load_dataset(first.data)
        self.classes = dataset.num_classes
        self.metrics = build_metrics(first.measures, dataset.num_classes)
        self.data = ImageDataModule(dataset, first.training, first.seed, self.fabric.device)
        self.size = len(jobs)
        self.memory = MemoryMeter(self.fabric.device)
        self.earlier_peak_mib = 0.0
        self.replicates = [self._build(job, dataset) for job in jobs]
        self._assemble()

    def _build(self, job: Job, dataset: Dataset) -> _Replicate:
        self.fabric.seed_everything(job.seed, verbose=False)
        network = build_network(job.architecture, dataset.input_shape, dataset.num_classes)
        batches = self.data.train_dataloader().seeded(job.seed)
        if self.ranks > 1:
            network = share_norms(network, self.fabric.device)
            batches = batches.shared(self.fabric.global_rank, self.ranks)
        module = Classifier(
            network,
            job.training,
            steps_per_epoch=len(batches),
            channels_last=job.compute.channels_last,
        )
        return _Replicate(job, module.to(self.fabric.device), batches)

    def _assemble(self) -> None:
        modules = [replicate.module for replicate in self.replicates]
        if self.ranks > 1:
            self.module: Classifier = SharedClassifier(modules[0], self.fabric)
        else:
            self.module = modules[0] if len(modules) == 1 else PackedClassifier(modules)
        self._on_training: list[Evaluation] | None = None
        captured = self.replicates[0].job.compute.captured and self.ranks == 1
        self.step = build_training_step(self.fabric, self.module, captured=captured)
        self.profiler = Profiler(self.module.network, len(modules))

    def keep(self, jobs: Sequence[Job]) -> None:
        """Go on with some of the replicates; the others have ended."""
        kept = [i for i, replicate in enumerate(self.replicates) if replicate.job in jobs]
        if not kept or len(kept) == len(self.replicates):
            return
        optimizer = select_state(self.step.optimizer.state_dict(), kept, of=len(self.replicates))
        scheduler = self.step.scheduler.state_dict()
        self.replicates = [self.replicates[index] for index in kept]
        self._assemble()
        self.step.optimizer.load_state_dict(optimizer)
        self.step.scheduler.load_state_dict(scheduler)

    def train_epoch(self, epoch: int) -> list[tuple[Job, dict[str, float], Profile]]:
        """Train one epoch and validate; returns the metrics and the profile of each replicate."""
        stream = (_NETWORK_STREAM,) if self.ranks == 1 else (_NETWORK_STREAM, self.fabric.global_rank)
        seeds = [mix_seed(replicate.job.seed, epoch, *stream) for replicate in self.replicates]
        self.module.seed_draws(seeds)
        for replicate in self.replicates:
            replicate.batches.set_epoch(epoch)
        loaders = [iter(replicate.batches) for replicate in self.replicates]
        losses: list[Tensor] = []
        predictions, labels = [], []
        self.module.train()
        watched = self._is_watched(epoch)
        start = time.perf_counter()
        for batch in loaders[0] if len(loaders) == 1 else put_side_by_side(loaders):
            first = not losses
            found = self.step.watched(batch, self.profiler) if watched and first else self.step(batch)
            losses.append(found.get("losses", found["loss"]))
            predictions.append(found["predictions"])
            labels.append(batch[1])
        # Reading the loss waits for the device, so the clock stops after it.
        train_losses = mean_losses(losses, [len(batch) for batch in labels])
        seconds = (time.perf_counter() - start) / len(self.replicates)
        profiles = self.profiler.read() if watched else [{} for _ in self.replicates]
        columns = zip(
            self.replicates,
            self._validate(),
            train_losses,
            torch.cat(predictions).view(-1, len(seeds)).unbind(1),
            torch.cat(labels).view(-1, len(seeds)).unbind(1),
            profiles,
            strict=True,
        )
        rows = []
        for replicate, validated, train_loss, predicted, true, profile in columns:
            own = (train_loss, count_accuracy(predicted, true))
            (loss, accuracy), images = average_over_ranks(self.fabric, own, len(true))
            metrics = {"train_loss": loss, "train_accuracy": accuracy}
            images_per_s = replicate.clock.add(seconds, images)
            metrics |= {**validated, "images_per_s": images_per_s}
            if (ratio := gradient_ratio(profile)) is not None:
                metrics["gradient_ratio"] = ratio
            rows.append((replicate.job, metrics, profile))
        self.memory.sample()
        return rows

    def _is_watched(self, epoch: int) -> bool:
        """Whether the first rank watches the first step of an epoch: no more than one step in so many."""
        every = -(-_STEPS_PER_PROFILE // len(self.replicates[0].batches))
        return epoch % every == 0 and self.fabric.is_global_zero

    def _validate(self) -> list[dict[str, float]]:
        """Return the metrics of each replicate on the validation images."""
        evaluations = self._evaluate(self.data.val_dataloader())
        for replicate, found in zip(self.replicates, evaluations, strict=True):
            replicate.last = {
                "val_loss": found.loss,
                "val_accuracy": found.accuracy,
                "val_error": found.error,
                **compute_metrics(self.metrics, found.logits, found.labels),
            }
        return [replicate.last for replicate in self.replicates]

    def _evaluate(self, batches: EvaluationBatches) -> list[Evaluation]:
        """Evaluate all replicates at once; of one trained by several ranks, without what joins them."""
        together = len(self.replicates) > 1
        return evaluate_each(self.fabric, self.module if together else self.replicates[0].module, batches)

    @property
    def peak_mib(self) -> float:
        """Peak memory of all replicates together so far, in an attempt that was gone on from too."""
        return max(self.earlier_peak_mib, self.memory.peak_mib())

    def summarize(self, job: Job) -> dict[str, float]:
        """Return the last epoch's validation, and the replicate's share of what the training took so far."""
        replicate = self._find(job)
        metrics = {
            **replicate.last,
            "train_time_s": replicate.clock.seconds,
            "images_per_s": replicate.clock.images / replicate.clock.seconds,
            "peak_memory_mib": self.peak_mib / self.size,
        }
        return metrics if self.size == 1 else {**metrics, "packed_replicates": float(self.size)}

    def finish(self, job: Job) -> dict[str, float]:
        """Evaluate the trained network on its training images, measure what was asked, save the weights.

        Of several ranks the first does what need be done once.
        """
        if self._on_training is None:
            self._on_training = self._evaluate(self.data.train_eval_dataloader())
        metrics, replicate = self.summarize(job), self._find(job)
        module, found = replicate.module, self._on_training[self.replicates.index(replicate)]
        metrics |= {"train_error": found.error, "train_loss_eval": found.loss}
        if not self.fabric.is_global_zero:
            return metrics
        # A pack was evaluated as a whole; its networks, in training, would change the statistics they share.
        module.eval()
        if "latency_ms" in self.measures:
            images, _ = next(iter(self.data.val_dataloader()))
            with self.fabric.autocast():
                metrics["latency_ms"] = measure_latency(module, images[:1])
        if "latency_onnx_ms" in self.measures:
            image, _ = next(iter(self.data.val_dataloader()))
            metrics["latency_onnx_ms"] = measure_onnx_latency(
                job.architecture, image[:1], self.classes, threads=job.compute.threads
            )
        if job.weights_path is not None:
            save_weights(module.network, job.weights_path)
        return metrics

    def _find(self, job: Job) -> _Replicate:
        return next(replicate for replicate in self.replicates if replicate.job == job)
