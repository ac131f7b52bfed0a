"""CIFAR-10 and CIFAR-100 in their binary distribution; the pickled one could run code and is not read."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Callable
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

_IMAGE_BYTES = 3 * 32 * 32
_ADDRESS = "https://www.cs.toronto.edu/~kriz/"
# Far above any real list of names; keeps a hostile archive from filling the memory.
_LONGEST_NAMES = 100_000
# Twice what the real ones hold, unpacked: a few kilobytes can unpack to more than any memory.
_LONGEST_ARCHIVE = 400_000_000

ReadFile = Callable[[str, int], bytes]


@dataclass(frozen=True)
class CifarDataset:
    """A binary CIFAR distribution: records of label bytes (the last one counts) and 3 x 32 x 32 pixels.

    Attributes:
        archive: The archive, and where to download it.
        folder: The folder within the archive.
        train_files: Names of the training files.
        test_file: Name of the test file.
        names_file: Names of the classes, a line each.
        train_records: Images in each training file.
        test_records: Images in the test file.
        label_bytes: Label bytes of a record.
        num_classes: Number of classes.
    """

    archive: RemoteFile
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    names_file: str
    train_records: int
    test_records: int
    label_bytes: int
    num_classes: int

    def check(self, settings: DataSettings) -> None:
        """Check that the files or the archive are there or may be downloaded."""
        if (
            self._find_folder(settings) is None
            and self._find_archive(settings) is None
            and not settings.download
        ):
            raise missing_file(f"{self.train_files[0]} or {self.archive.name}", settings, self.archive)

    def load(self, settings: DataSettings) -> RawData:
        """Read the extracted files, or else the archive, after downloading it where it is nowhere."""
        self.check(settings)
        if folder := self._find_folder(settings):
            return self._read(lambda name, limit: _read_plain(folder / name, limit), place=str(folder))
        path = self._find_archive(settings) or download_file(self.archive, cache_folder())
        try:
            # Members are read by their known names and sizes; nothing is extracted to the disk.
            with _Bounded(path) as unpacked, tarfile.open(fileobj=unpacked) as archive:
                return self._read(
                    lambda name, limit: _read_member(archive, f"{self.folder}/{name}", limit), place=str(path)
                )
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise DataError(f"must be the archive {self.archive.name} ({error})", path=str(path)) from error

    def _find_folder(self, settings: DataSettings) -> Path | None:
        roots = root_folder(settings)
        found = find_file((self.train_files[0],), (*roots, *(root / self.folder for root in roots)))
        return found.parent if found else None

    def _find_archive(self, settings: DataSettings) -> Path | None:
        return find_file((self.archive.name,), (*root_folder(settings), cache_folder()))

    def _read(self, read: ReadFile, *, place: str) -> RawData:
        train = [self._read_split(read, name, self.train_records, place) for name in self.train_files]
        test = self._read_split(read, self.test_file, self.test_records, place)
        names = read(self.names_file, _LONGEST_NAMES).decode("utf-8", "replace").split()
        if len(names) != self.num_classes:
            raise DataError(
                f"must name {self.num_classes} classes", path=f"{place}/{self.names_file}", got=len(names)
            )
        images = torch.cat([split.images for split in train])
        labels = torch.cat([split.labels for split in train])
        return RawData(Split(images, labels), classes=tuple(names), test=test)

    def _read_split(self, read: ReadFile, name: str, records: int, place: str) -> Split:
        size = records * (self.label_bytes + _IMAGE_BYTES)
        content = read(name, size)
        if len(content) != size:
            raise DataError(
                f"must hold {records} images, {size} bytes", path=f"{place}/{name}", got=len(content)
            )
        rows = np.frombuffer(content, dtype=np.uint8).reshape(records, -1)
        labels = rows[:, self.label_bytes - 1]
        if labels.max() >= self.num_classes:
            raise DataError(
                f"must hold labels below {self.num_classes}", path=f"{place}/{name}", got=int(labels.max())
            )
        images = np.ascontiguousarray(rows[:, self.label_bytes :]).reshape(records, 3, 32, 32)
        return Split(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


class _Bounded(gzip.GzipFile):
    """A file that is not read beyond where the real ones end, whatever sizes its headers claim."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = _LONGEST_ARCHIVE
        self._check(self.tell() + size)
        return super().read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._check(offset)
        return super().seek(offset, whence)

    def _check(self, end: int) -> None:
        if end > _LONGEST_ARCHIVE:
            raise tarfile.ReadError(f"it unpacks to more than {_LONGEST_ARCHIVE:,} bytes")


def _read_plain(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise DataError(f"must be readable ({error})", path=str(path)) from error


def _read_member(archive: tarfile.TarFile, name: str, limit: int) -> bytes:
    try:
        member = archive.getmember(name)
    except KeyError as error:
        raise DataError(f"must hold {name}", path=str(archive.name)) from error
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise DataError(f"must hold {name} as a plain file", path=str(archive.name))
    return file.read(limit + 1)


DATASETS = {
    "cifar10": CifarDataset(
        RemoteFile(
            _ADDRESS,
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        folder="cifar-10-batches-bin",
        train_files=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test_file="test_batch.bin",
        names_file="batches.meta.txt",
        train_records=10_000,
        test_records=10_000,
        label_bytes=1,
        num_classes=10,
    ),
    "cifar100": CifarDataset(
        RemoteFile(
            _ADDRESS,
            "cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        folder="cifar-100-binary",
        train_files=("train.bin",),
        test_file="test.bin",
        names_file="fine_label_names.txt",
        train_records=50_000,
        test_records=10_000,
        label_bytes=2,
        num_classes=100,
    ),
}
