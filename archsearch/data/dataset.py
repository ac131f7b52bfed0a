"""What a data set is: three splits of images in memory, their classes, and the figures to normalise with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Attributes:
        images: ``[N, C, H, W]`` or flat ``[N, F]``; uint8 (0 to 255) or float32.
        labels: ``[N]``, int64, from 0.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> Split:
        """Copy the images at these indices, in this order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The data of a study, the same for every trial.

    Attributes:
        name: The source.
        train: What networks are trained on.
        val: What choices are made on.
        test: Read once, at the end.
        classes: Names of the classes; a label is an index into them.
        mean: Mean of each channel of `train` (after scaling to [0, 1], where images are uint8); a single one
            over all features of flat inputs.
        std: Standard deviation, likewise; 1 where a channel is constant.
        fingerprint: SHA-256 over images, labels and split.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: ``(C, H, W)`` or ``(F,)``."""
        return tuple(self.train.images.shape[1:])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)


def build_dataset(name: str, train: Split, val: Split, test: Split, *, classes: tuple[str, ...]) -> Dataset:
    """Measure the training images, take the fingerprint, and put a data set together."""
    mean, std = measure_channels(train.images)
    return Dataset(name, train, val, test, classes, mean, std, take_fingerprint(train, val, test))


def measure_channels(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure mean and standard deviation of each channel (of all features, where inputs are flat)."""
    channels = images.shape[1] if images.ndim == 4 else 1
    total = torch.zeros(channels, dtype=torch.float64)
    squares = torch.zeros(channels, dtype=torch.float64)
    # In pieces: a float64 copy of all images would take eight times their memory.
    for piece in torch.split(images, 2048):
        values = piece.double().reshape(len(piece), channels, -1)
        total += values.sum(dim=(0, 2))
        squares += values.square().sum(dim=(0, 2))
    scale = 255 if images.dtype == torch.uint8 else 1
    count = images.numel() / channels
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt() / scale
    std = torch.where(std > 1e-8, std, torch.ones_like(std))
    return tuple((mean / scale).tolist()), tuple(std.tolist())


def take_fingerprint(*splits: Split) -> str:
    """Take the SHA-256 over the types, shapes and bytes of all images and labels, split by split."""
    digest = hashlib.sha256()
    for split in splits:
        for tensor in (split.images, split.labels):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
