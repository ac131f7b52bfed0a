"""Batches for training and evaluation, whole and on the device, as a LightningDataModule.

A loader is a light iterable of ``(images, labels)``: with the data in memory, an index and a few tensor
operations make a batch, and a DataLoader's workers would only copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from archsearch.data.augmentation import augment_images, build_augmentation, draw_choices
from archsearch.data.dataset import Dataset, Split
from archsearch.errors import DataError
from archsearch.study.settings import TrainingSettings

# Independent of `batch_size`, so that a network is evaluated alike whatever it was trained with.
_EVALUATION_BATCH = 256

Batch = tuple[Tensor, Tensor]


class Normalisation:
    """Images to float32 with mean 0 and standard deviation 1 in each channel of the training split."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        shape = (1, -1, 1, 1) if len(dataset.input_shape) == 3 else (1, -1)
        mean = torch.tensor(dataset.mean, dtype=torch.float64).view(shape)
        std = torch.tensor(dataset.std, dtype=torch.float64).view(shape)
        largest = 255 if dataset.train.images.dtype == torch.uint8 else 1
        self.scale = (1 / (std * largest)).float().to(device)
        self.shift = (-mean / std).float().to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise a batch; the input is left as it is."""
        return (images.float() * self.scale).add_(self.shift)


class EvaluationBatches:
    """All images of a split in their order, normalised, never augmented."""

    def __init__(self, split: Split, normalise: Normalisation) -> None:
        self._split = split
        self._normalise = normalise

    def __len__(self) -> int:
        return -(-len(self._split) // _EVALUATION_BATCH)

    @property
    def labels(self) -> Tensor:
        """The labels of all images."""
        return self._split.labels

    def __iter__(self) -> Iterator[Batch]:
        return self.part(0, 1)

    def part(self, rank: int, ranks: int) -> Iterator[Batch]:
        """Give one of several processes its batches: every `ranks`-th, from the `rank`-th on."""
        images = torch.split(self._split.images, _EVALUATION_BATCH)[rank::ranks]
        labels = torch.split(self._split.labels, _EVALUATION_BATCH)[rank::ranks]
        for some, true in zip(images, labels, strict=True):
            yield self._normalise(some), true


class TrainingBatches:
    """The training images in a new order each epoch, normalised and augmented.

    Order and augmentation depend on (seed, epoch) alone. The last batch is smaller where `batch_size` does
    not divide the images; it is left out where it would be one image, which batch norm cannot train on.
    """

    def __init__(
        self, split: Split, normalise: Normalisation, settings: TrainingSettings, *, seed: int
    ) -> None:
        self._split = split
        self._normalise = normalise
        self._augmentation = build_augmentation(settings, tuple(split.images.shape[1:]))
        self._batch_size = settings.batch_size
        self._seed = seed
        self._epoch = 0
        self._rank, self._ranks = 0, 1
        rest = len(split) % self._batch_size
        self._used = len(split) - (rest == 1 and len(split) > 1 and self._batch_size > 1)

    def __len__(self) -> int:
        return -(-self._used // self._batch_size)

    @property
    def sampler(self) -> TrainingBatches:
        """Itself: a Trainer tells ``loader.sampler.set_epoch`` which epoch begins."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, that the next iteration gives."""
        self._epoch = epoch

    def seeded(self, seed: int) -> TrainingBatches:
        """Return batches of the same images in the order and augmentation of another seed."""
        other = copy(self)
        other._seed = seed
        return other

    def shared(self, rank: int, ranks: int) -> TrainingBatches:
        """Return one process's share of each batch: every `ranks`-th image, from the `rank`-th on.

        Shares differ by one image at most; of a last batch of few images one may be empty.

        Raises:
            DataError: There are not enough images in any batch.
        """
        largest = min(self._batch_size, self._used)
        if largest < ranks:
            raise DataError(
                f"must leave an image for each of {ranks} devices", path="training.batch_size", got=largest
            )
        other = copy(self)
        other._rank, other._ranks = rank, ranks
        return other

    def __iter__(self) -> Iterator[Batch]:
        device = self._split.labels.device
        generator = torch.Generator().manual_seed(mix_seed(self._seed, self._epoch))
        order = torch.randperm(len(self._split), generator=generator)[: self._used].to(device)
        augmentation = self._augmentation
        draws = None
        if augmentation is not None:
            draws = draw_choices(augmentation, self._used, generator).to(device)
        for start in range(0, self._used, self._batch_size):
            stop = min(start + self._batch_size, self._used)
            share = slice(start + self._rank, stop, self._ranks)
            index = order[share]
            images = self._normalise(self._split.images[index])
            if augmentation is not None and draws is not None:
                images = augment_images(images, augmentation, draws.rows(share))
            yield images, self._split.labels[index]


class ImageDataModule(pl.LightningDataModule):
    """A data set on a device, served in batches.

    Args:
        dataset: Moved to `device` as it is (uint8 stays uint8).
        training: Batch size and augmentation.
        seed: Seed of order and augmentation.
        device: Where batches are made.

    Raises:
        DataError: The augmentation does not fit the images.
    """

    def __init__(
        self, dataset: Dataset, training: TrainingSettings, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        place = torch.device(device)
        normalise = Normalisation(dataset, place)
        train, val, test = (_move(split, place) for split in (dataset.train, dataset.val, dataset.test))
        self._train = TrainingBatches(train, normalise, training, seed=seed)
        self._train_eval = EvaluationBatches(train, normalise)
        self._val = EvaluationBatches(val, normalise)
        self._test = EvaluationBatches(test, normalise)

    def train_dataloader(self) -> TrainingBatches:
        """Batches to train on: shuffled, augmented."""
        return self._train

    def train_eval_dataloader(self) -> EvaluationBatches:
        """The training images as they are, to evaluate on."""
        return self._train_eval

    def val_dataloader(self) -> EvaluationBatches:
        """The validation images."""
        return self._val

    def test_dataloader(self) -> EvaluationBatches:
        """The test images."""
        return self._test


def _move(split: Split, device: torch.device) -> Split:
    return Split(split.images.to(device), split.labels.to(device))


def mix_seed(*keys: int) -> int:
    """Make one seed of several: neighbouring ones must not share streams, as under ``seed + epoch``."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])
