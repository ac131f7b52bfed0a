"""Images that need no file of their own: scikit-learn's digits, and synthetic patterns."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from archsearch.data.dataset import Split
from archsearch.data.source import RawData, check_memory
from archsearch.study.settings import DataSettings

_PATTERN_SEED = 20151210
_PATTERN_SIDE = 4
_CONTRAST = 40.0


def load_digits(_: DataSettings) -> RawData:
    """Load the 1,797 digits (8 x 8, 17 grey levels) that scikit-learn carries, scaled to 0 to 255."""
    # Its file alone: importing it takes over a second, in each worker.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    table = np.loadtxt(Path(spec.origin).parent / "datasets/data/digits.csv.gz", np.uint8, delimiter=",")
    rows = torch.from_numpy(table)
    images = (rows[:, :-1].view(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
    labels = rows[:, -1].long()
    return RawData(Split(images, labels), classes=tuple(str(digit) for digit in range(10)))


def make_synthetic(settings: DataSettings) -> RawData:
    """Make `samples` images of `image_size`: a smooth random pattern for each class, plus noise.

    The pixels depend on the settings alone, and not on `split_seed`, so that two splits share their images.
    """
    # Images as bytes; patterns of all classes, and a piece with its noise, as floats.
    pixels = settings.channels * settings.image_size**2
    check_memory(pixels * (2 * settings.samples + 4 * settings.classes + 3 * 4 * 1024), "data.samples")
    generator = torch.Generator().manual_seed(_PATTERN_SEED)
    coarse = torch.randn(
        settings.classes, settings.channels, _PATTERN_SIDE, _PATTERN_SIDE, generator=generator
    )
    size = (settings.image_size, settings.image_size)
    patterns = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    labels = torch.arange(settings.samples) % settings.classes
    # In pieces, for the noise is drawn as float32 and would take four times the memory of the images.
    images = torch.cat(
        [_add_noise(patterns[piece], settings.noise, generator) for piece in torch.split(labels, 1024)]
    )
    return RawData(
        Split(images, labels), classes=tuple(f"pattern {index}" for index in range(settings.classes))
    )


def _add_noise(patterns: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    values = patterns + noise * torch.randn(patterns.shape, generator=generator)
    return (127.5 + _CONTRAST * values).round().clamp(0, 255).to(torch.uint8)
