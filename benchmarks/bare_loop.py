"""Stack (a): a plain PyTorch loop in one process, which is the least that these trainings can cost."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing.pool import Pool

import torch
from torch import nn
from torch.nn import functional

from archsearch.data.module import mix_seed
from benchmarks.tasks import Task, Training, normalized_splits


def run(task: Task) -> float:
    """Train the sweep; returns the mean validation accuracy."""
    accuracies = _train_all(task, task.trainings())
    return sum(accuracies) / len(accuracies)


def run_dealt(task: Task, pool: Pool, processes: int) -> float:
    """Train the sweep in so many of these loops at once; returns the mean validation accuracy."""
    trainings = list(task.trainings())
    parts = [(task, trainings[first::processes]) for first in range(processes)]
    accuracies = [accuracy for part in pool.starmap(_train_all, parts) for accuracy in part]
    return sum(accuracies) / len(accuracies)


def _train_all(task: Task, trainings: Iterable[Training]) -> list[float]:
    dataset, splits = normalized_splits(task)
    accuracies = []
    for training in trainings:
        torch.manual_seed(training.seed)
        network = task.network(training.depth, dataset)
        accuracies.append(_train(task, training, network, splits))
    return accuracies


def _train(task: Task, training: Training, network: nn.Module, splits: dict) -> float:
    images, labels = splits["train"]
    steps = -(-len(labels) // task.batch_size)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=training.learning_rate, momentum=0.9, weight_decay=1e-4, fused=True
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=training.learning_rate, total_steps=steps * task.epochs, cycle_momentum=False
    )
    accuracy = 0.0
    for epoch in range(task.epochs):
        network.train()
        generator = torch.Generator().manual_seed(mix_seed(training.seed, epoch))
        order = torch.randperm(len(labels), generator=generator)
        for index in order.split(task.batch_size):
            loss = functional.cross_entropy(network(images[index]), labels[index])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
        accuracy = _accuracy(network, *splits["val"])
    # As archsearch does: the training error in evaluation mode, once.
    _accuracy(network, images, labels)
    return accuracy


@torch.inference_mode()
def _accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    network.eval()
    correct = sum(
        (network(batch).argmax(1) == target).sum()
        for batch, target in zip(images.split(256), labels.split(256), strict=True)
    )
    return float(correct) / len(labels)
