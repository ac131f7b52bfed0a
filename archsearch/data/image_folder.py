"""A folder of images: train/<class>/*, optionally val/<class>/* and test/<class>/*.

Images are decoded once; what comes out is kept in the user's cache, under a key made of the folder, the
names, sizes and times of all files, and the image size.
"""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from archsearch.data.dataset import Split
from archsearch.data.download import cache_folder
from archsearch.data.source import RawData, check_memory
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
# Pillow would hand a PostScript file that is named .jpg to Ghostscript.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
# Modes of more than 8 bits a channel, which Pillow clips instead of scaling.
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")
# Above what cameras take; a file of some kilobytes can claim more than any memory holds.
_MOST_PIXELS = 60_000_000
_CACHE_VERSION = "1"
# What Pillow's decoders raise for damaged files, by format and place of the damage.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True)
class Listing:
    """The images of each split, in order, with their labels, and the names of the classes."""

    classes: tuple[str, ...]
    files: dict[str, tuple[tuple[Path, int], ...]]


def check_folder(settings: DataSettings) -> None:
    """Check that the folders are there and agree in their classes; decodes nothing."""
    list_folder(settings)


def load_folder(settings: DataSettings) -> RawData:
    """Decode all images to RGB, ``image_size`` x ``image_size``, or take them from the cache.

    Raises:
        DataError: A folder is missing or empty, splits differ in their classes, or an image is broken.
    """
    listing = list_folder(settings)
    path = cache_folder() / "image_folder" / f"{_cache_key(listing, settings)}.safetensors"
    tensors = _load_cached(path)
    if tensors is None:
        tensors = {name: decode_images(files, settings.image_size) for name, files in listing.files.items()}
        _save_cached(tensors, path)
    splits = {
        name: Split(tensors[name], torch.tensor([label for _, label in files]))
        for name, files in listing.files.items()
    }
    return RawData(splits["train"], classes=listing.classes, val=splits.get("val"), test=splits.get("test"))


def list_folder(settings: DataSettings) -> Listing:
    """List the images of all splits, sorted by class and name."""
    root = Path(settings.root).expanduser().resolve()
    if not settings.root or not (root / "train").is_dir():
        raise DataError(
            "must be a folder that holds train/<class>/*.jpg (or .png …)", path="data.root", got=settings.root
        )
    classes = _list_classes(root / "train")
    if len(classes) < 2:
        raise DataError(
            "must hold a folder for each of at least two classes", path=str(root / "train"), got=classes
        )
    files = {}
    for split in ("train", "val", "test"):
        if not (root / split).is_dir():
            continue
        found = _list_classes(root / split)
        if found != classes:
            raise DataError(
                f"must have the classes of {root / 'train'}",
                path=str(root / split),
                got=sorted(set(found) ^ set(classes)),
                fix="The classes shown are in one of the two only.",
            )
        files[split] = tuple(
            (path, label) for label, name in enumerate(classes) for path in _list_images(root / split / name)
        )
    return Listing(tuple(classes), files)


def decode_images(files: tuple[tuple[Path, int], ...], size: int) -> Tensor:
    """Decode images to uint8 ``[N, 3, size, size]``; others than squares of that size are resized."""
    import numpy as np

    check_memory(len(files) * size**2 * 3, "data.image_size")
    images = np.empty((len(files), size, size, 3), dtype=np.uint8)
    for row, (path, _) in zip(images, files, strict=True):
        row[:] = decode_image(path, (size, size), "RGB")
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def decode_image(path: Path, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """Decode an image to bytes ``[height, width, …]``, resized where it is not of this (width, height).

    Args:
        path: The file.
        size: (width, height).
        mode: ``RGB`` or ``L`` (grey, without an axis of channels).

    Raises:
        DataError: It cannot be decoded, or is larger than any image to learn from.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with _open_image(path) as image:
            if image.mode in _DEEP_MODES:
                raise ValueError(f"more than 8 bits a channel, mode {image.mode}")
            # Cameras store turned images and say so in their EXIF data.
            converted = ImageOps.exif_transpose(image).convert(mode)
            if converted.size != size:
                converted = converted.resize(size, Image.Resampling.BILINEAR)
            return np.asarray(converted)
    except _DAMAGE as error:
        raise DataError(
            f"must be an image that can be decoded ({error})",
            path=str(path),
            fix="Remove or replace the file.",
        ) from error


def _open_image(path: Path) -> Image.Image:
    from PIL import Image

    with warnings.catch_warnings():
        # Of large images, which are refused here anyway.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(path, formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from error
    if image.width * image.height > _MOST_PIXELS:
        image.close()
        raise ValueError(f"{image.width} x {image.height} pixels, of at most {_MOST_PIXELS:,}")
    return image


def _list_classes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _list_images(folder: Path) -> list[Path]:
    # scandir knows what is a file without asking for each: a second for 60,000 images.
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    found = [folder / name for name in names if Path(name).suffix.lower() in _ENDINGS]
    if not found:
        raise DataError(f"must hold images ({', '.join(sorted(_ENDINGS))})", path=str(folder), got=0)
    return found


def _cache_key(listing: Listing, settings: DataSettings) -> str:
    digest = hashlib.sha256(f"{_CACHE_VERSION}:{settings.image_size}".encode())
    for files in listing.files.values():
        for path, _ in files:
            state = path.stat()
            digest.update(f"\0{path}\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _load_cached(path: Path) -> dict[str, Tensor] | None:
    try:
        return load_file(path) if path.is_file() else None
    except SafetensorError:
        # Cut short by a full disk, say: decoding anew writes it anew.
        return None


def _save_cached(tensors: dict[str, Tensor], path: Path) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part)
        part.replace(path)
    # safetensors reports a full disk as its own error.
    except (OSError, SafetensorError) as error:
        if part.exists():
            part.unlink()
        warnings.warn(f"decoded images are not kept in {path.parent}: {error}", stacklevel=2)
