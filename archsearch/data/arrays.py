"""Images in a NumPy .npz file: x_train, y_train and what else there is of val and test, or x and y."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archsearch.data.dataset import Split
from archsearch.data.source import RawData, check_memory
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings

# More channels than any image has: a larger second axis means that the channels come last.
_MOST_CHANNELS = 16
# What NumPy and zipfile raise for damaged files; an array may claim any shape, and be packed in any way.
_DAMAGE = (
    *(ValueError, OSError, EOFError, SyntaxError, LookupError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
_OPTIONAL_PAIRS = (("x_val", "y_val"), ("x_test", "y_test"))


def check_arrays(settings: DataSettings) -> None:
    """Check that the file exists and holds the arrays; reads their names only."""
    path = Path(settings.root).expanduser()
    if not settings.root or not path.is_file():
        raise DataError(
            "must name an .npz file",
            path="data.root",
            got=settings.root,
            fix="Write one with numpy.savez(path, x_train=…, y_train=…).",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(name).stem for name in archive.namelist()}
            size = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"must be an .npz file ({error})", path=str(path)) from error
    _name_pairs(names, path)
    check_memory(size, str(path))


def load_arrays(settings: DataSettings) -> RawData:
    """Read the arrays; nothing pickled is read, for a pickle can run code.

    Images are ``[N, C, H, W]``, ``[N, H, W]`` (one channel) or flat ``[N, F]``, uint8 or a float type; labels
    are integers from 0 without gaps.
    """
    check_arrays(settings)
    path = Path(settings.root).expanduser()
    try:
        with np.load(path, allow_pickle=False) as archive:
            pairs = _name_pairs(set(archive.files), path)
            arrays = {name: archive[name] for pair in pairs for name in pair}
    except _DAMAGE as error:
        raise DataError(f"must be an .npz file of plain arrays ({error})", path=str(path)) from error
    splits = {x.removeprefix("x_"): _read_pair(arrays, x, y, path) for x, y in pairs}
    train = splits.get("train") or splits["x"]
    classes = _count_classes(train.labels, f"{path}:{pairs[0][1]}")
    for name, split in splits.items():
        _check_like_training(split, train, classes, f"{path}:x_{name}")
    return RawData(
        train,
        classes=tuple(str(index) for index in range(classes)),
        val=splits.get("val"),
        test=splits.get("test"),
    )


def _name_pairs(names: set[str], path: Path) -> tuple[tuple[str, str], ...]:
    first = next((pair for pair in (("x_train", "y_train"), ("x", "y")) if names.issuperset(pair)), None)
    if first is None:
        raise DataError("must hold x_train and y_train, or x and y", path=str(path), got=sorted(names))
    rest = [pair for pair in _OPTIONAL_PAIRS if names.intersection(pair)] if first[0] == "x_train" else []
    for pair in rest:
        if not names.issuperset(pair):
            raise DataError(f"must hold both of {pair[0]} and {pair[1]}", path=str(path), got=sorted(names))
    return (first, *rest)


def _read_pair(arrays: dict[str, np.ndarray], x: str, y: str, path: Path) -> Split:
    images = _read_images(arrays[x], f"{path}:{x}")
    labels = arrays[y]
    place = f"{path}:{y}"
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError("must be integers in one dimension", path=place, got=_described(labels))
    if len(labels) != len(images):
        raise DataError(f"must hold a label for each of {len(images)} images", path=place, got=len(labels))
    if labels.min() < 0:
        raise DataError("must hold labels from 0", path=place, got=int(labels.min()))
    return Split(images, torch.from_numpy(labels.astype(np.int64)))


def _read_images(images: np.ndarray, place: str) -> Tensor:
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise DataError("must be uint8 or a float type", path=place, got=_described(images))
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim not in (2, 4) or 0 in images.shape:
        raise DataError("must be [N, C, H, W], [N, H, W] or [N, F]", path=place, got=_described(images))
    if images.ndim == 4 and images.shape[1] > _MOST_CHANNELS:
        raise DataError(
            f"must be [N, C, H, W] with at most {_MOST_CHANNELS} channels",
            path=place,
            got=_described(images),
            fix="Where channels come last, transpose(0, 3, 1, 2) brings them first.",
        )
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if not np.isfinite(images).all():
            raise DataError("must hold finite numbers only", path=place)
    return torch.from_numpy(np.ascontiguousarray(images))


def _count_classes(labels: Tensor, place: str) -> int:
    sizes = torch.bincount(labels) if int(labels.max()) < len(labels) else torch.zeros(1)
    if bool((sizes == 0).any()):
        raise DataError(
            "must number the classes from 0 without gaps", path=place, got=sorted(set(labels.tolist()))[:20]
        )
    if len(sizes) < 2:
        raise DataError("must hold at least two classes", path=place, got=len(sizes))
    return len(sizes)


def _check_like_training(split: Split, train: Split, classes: int, place: str) -> None:
    if split.images.shape[1:] != train.images.shape[1:] or split.images.dtype != train.images.dtype:
        raise DataError(
            f"must have shape {tuple(train.images.shape[1:])} and type {train.images.dtype}, as for training",
            path=place,
            got=f"{tuple(split.images.shape[1:])} {split.images.dtype}",
        )
    if int(split.labels.max()) >= classes:
        raise DataError(
            f"must hold labels below {classes}, the number of classes in training",
            path=place,
            got=int(split.labels.max()),
        )


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
