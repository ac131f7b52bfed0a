"""MNIST and Fashion-MNIST in their idx files, gzipped or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from archsearch.data.dataset import Split
from archsearch.data.download import (
    RemoteFile,
    cache_folder,
    download_file,
    find_file,
    missing_file,
    root_folder,
)
from archsearch.data.source import RawData
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings

_UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class IdxDataset:
    """Four idx files: training and test images and labels.

    Attributes:
        name: The source, and the folder's name within the user's cache.
        folder: Where an operating system's package puts the files.
        files: Training images, training labels, test images, test labels.
        classes: Names of the classes.
    """

    name: str
    folder: Path
    files: tuple[RemoteFile, RemoteFile, RemoteFile, RemoteFile]
    classes: tuple[str, ...]

    def check(self, settings: DataSettings) -> None:
        """Check that every file is there or may be downloaded."""
        for remote in self.files:
            if self._find(remote, settings) is None and not settings.download:
                raise missing_file(remote.name.removesuffix(".gz"), settings, remote)

    def load(self, settings: DataSettings) -> RawData:
        """Read the four files, after downloading those that are nowhere."""
        self.check(settings)
        paths = [
            self._find(remote, settings) or download_file(remote, cache_folder() / self.name)
            for remote in self.files
        ]
        train, test = (self._read_split(*pair) for pair in (paths[:2], paths[2:]))
        return RawData(train, classes=self.classes, test=test)

    def _find(self, remote: RemoteFile, settings: DataSettings) -> Path | None:
        folders = (*root_folder(settings), self.folder, cache_folder() / self.name)
        return find_file((remote.name, remote.name.removesuffix(".gz")), folders)

    def _read_split(self, images_path: Path, labels_path: Path) -> Split:
        images = read_idx(images_path, dimensions=3)
        labels = read_idx(labels_path, dimensions=1)
        if len(images) != len(labels):
            raise DataError(
                f"must hold a label for each of {len(images)} images", path=str(labels_path), got=len(labels)
            )
        if labels.max() >= len(self.classes):
            raise DataError(
                f"must hold labels below {len(self.classes)}", path=str(labels_path), got=int(labels.max())
            )
        return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())


def read_idx(path: Path, *, dimensions: int) -> np.ndarray:
    """Read an idx file of unsigned bytes: two zeros, the type, the number of dimensions, sizes, values.

    Format: LeCun, Cortes and Burges, the MNIST database; sizes are big-endian 32 bit.

    Raises:
        DataError: It is not such a file, has other dimensions, or is truncated.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"must be a readable file ({error})", path=str(path)) from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise DataError(
            f"must be an idx file of unsigned bytes in {dimensions} dimensions",
            path=str(path),
            got=content[:4],
        )
    sizes = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + int(np.prod(sizes, dtype=object))
    if len(content) != expected or 0 in sizes:
        raise DataError(
            f"must hold {expected} bytes, as its header {sizes} says", path=str(path), got=len(content)
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(sizes).copy()


def _idx_files(folder_url: str, *md5s: str) -> tuple[RemoteFile, RemoteFile, RemoteFile, RemoteFile]:
    first, second, third, fourth = md5s
    return (
        RemoteFile(folder_url, "train-images-idx3-ubyte.gz", first),
        RemoteFile(folder_url, "train-labels-idx1-ubyte.gz", second),
        RemoteFile(folder_url, "t10k-images-idx3-ubyte.gz", third),
        RemoteFile(folder_url, "t10k-labels-idx1-ubyte.gz", fourth),
    )


_CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

DATASETS = {
    "mnist": IdxDataset(
        "mnist",
        Path("/usr/share/datasets/mnist"),
        # MD5 sums as torchvision publishes them.
        _idx_files(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        tuple(str(digit) for digit in range(10)),
    ),
    "fashion_mnist": IdxDataset(
        "fashion_mnist",
        # Debian's package dataset-fashion-mnist.
        Path("/usr/share/datasets/fashion-mnist"),
        _idx_files(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        _CLOTHES,
    ),
}
