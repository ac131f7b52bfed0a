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
# Twice what the real ones hold, unpacked: a few kilobytes can unpack to more than any memory.
_LONGEST_FILE = 100_000_000


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
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"must be a readable file ({error})", path=str(path)) from error
    if len(content) > _LONGEST_FILE:
        raise DataError(f"must hold at most {_LONGEST_FILE:_} bytes", path=str(path))
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


def _idx_files(folder_url: str, *sha256s: str) -> tuple[RemoteFile, RemoteFile, RemoteFile, RemoteFile]:
    first, second, third, fourth = sha256s
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
        # SHA-256 sums as TensorFlow Datasets publishes them.
        _idx_files(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        tuple(str(digit) for digit in range(10)),
    ),
    "fashion_mnist": IdxDataset(
        "fashion_mnist",
        # Debian's package dataset-fashion-mnist.
        Path("/usr/share/datasets/fashion-mnist"),
        _idx_files(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        _CLOTHES,
    ),
}
