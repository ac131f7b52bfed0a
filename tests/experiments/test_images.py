"""The images that the claims look for are those of the distribution."""

from __future__ import annotations

from pathlib import Path

import torch

from archsearch.data.dataset import Split
from archsearch.data.image_folder import load_folder
from archsearch.data.source import RawData
from archsearch.study.settings import DataSettings
from experiments.images import write_images


def some(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 3)


def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    raw = RawData(some(9, 0), ("bird", "cat", "ship"), test=some(6, 1))

    write_images(tmp_path, raw)
    read = load_folder(DataSettings(name="image_folder", root=str(tmp_path), image_size=32))

    assert read.classes == raw.classes
    assert read.test is not None
    for written, found in ((raw.train, read.train), (raw.test, read.test)):
        assert written is not None
        order = torch.sort(written.labels, stable=True).indices
        assert torch.equal(found.labels, written.labels[order])
        assert torch.equal(found.images, written.images[order])
