"""CIFAR-10 as files of images, as the studies of the claims look for it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from archsearch.data.cifar import DATASETS
from archsearch.data.source import RawData
from archsearch.study.settings import DataSettings

FOLDER = Path("data/cifar10")


def write_images(folder: Path = FOLDER, raw: RawData | None = None) -> None:
    """Write `train/<class>/<number>.png` and `test/…` from the raw pixels of the distribution.

    Args:
        folder: Where; what stands there stays, but for files of the same names.
        raw: The images; CIFAR-10 from the user's cache, or downloaded, where left out.

    Raises:
        DataError: CIFAR-10 is neither there nor can be downloaded.
    """
    raw = raw or DATASETS["cifar10"].load(DataSettings(name="cifar10"))
    for name, split in {"train": raw.train, "test": raw.test}.items():
        if split is None:
            continue
        for place in raw.classes:
            (folder / name / place).mkdir(parents=True, exist_ok=True)
        images = split.images.permute(0, 2, 3, 1).numpy()
        for number, (image, label) in enumerate(zip(images, split.labels.tolist(), strict=True)):
            Image.fromarray(image).save(folder / name / raw.classes[label] / f"{number:05}.png")
