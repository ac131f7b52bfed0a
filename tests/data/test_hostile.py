"""Data that were made to do harm: nothing in them is run, and nothing takes more than its limit."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archsearch.data import cifar, mnist
from archsearch.data.arrays import load_arrays
from archsearch.data.cifar import DATASETS as CIFAR
from archsearch.data.computed import make_synthetic
from archsearch.data.image_folder import decode_images, load_folder
from archsearch.data.mnist import DATASETS as MNIST
from archsearch.data.mnist import read_idx
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings

CIFAR10 = CIFAR["cifar10"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Touch:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path / CIFAR10.archive.name, "w:gz") as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def load_cifar(root: Path) -> None:
    CIFAR10.load(DataSettings(name="cifar10", root=str(root), download=False))


# What stands under the name of a training file without being one.
@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../../../../etc/passwd"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.DIRTYPE, ""),
    ],
)
def test_links_and_devices_of_an_archive_are_not_followed(tmp_path, kind, target):
    info = tarfile.TarInfo(f"{CIFAR10.folder}/{CIFAR10.train_files[0]}")
    info.type, info.linkname = kind, target
    before = sorted(tmp_path.parent.iterdir())

    with pytest.raises(DataError, match=r"must (hold .* as a plain file|be the archive)"):
        load_cifar(archive(tmp_path, [(info, b"")]))

    assert sorted(tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped"])
def test_members_of_an_archive_are_never_unpacked(tmp_path, name):
    with pytest.raises(DataError, match=r"must hold cifar-10-batches-bin/data_batch_1\.bin"):
        load_cifar(archive(tmp_path, [(tarfile.TarInfo(name), b"x")]))

    assert sorted(path.name for path in tmp_path.iterdir()) == [CIFAR10.archive.name]
    assert not (tmp_path.parent / "escaped").exists()


def test_an_archive_that_unpacks_to_too_much_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_LONGEST_ARCHIVE", 1_000_000)

    with pytest.raises(DataError, match="it unpacks to more than 1,000,000 bytes"):
        load_cifar(archive(tmp_path, [(tarfile.TarInfo("bomb"), bytes(3_000_000))]))


def test_a_header_that_claims_too_much_is_left(tmp_path):
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.XHDTYPE, 8 * 2**30
    (tmp_path / CIFAR10.archive.name).write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))

    with pytest.raises(DataError, match="it unpacks to more than 400,000,000 bytes"):
        load_cifar(tmp_path)


def test_damage_anywhere_in_an_archive_is_an_error(tmp_path):
    whole = archive(tmp_path, [(tarfile.TarInfo("a"), os.urandom(20_000))])
    path = whole / CIFAR10.archive.name
    content = path.read_bytes()
    for place in range(0, len(content), 997):
        path.write_bytes(content[:place] + b"\xff\x00\xff" + content[place + 3 :])
        with pytest.raises(DataError):
            load_cifar(whole)


def test_an_idx_file_that_unpacks_to_too_much_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "_LONGEST_FILE", 1_000_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(3_000_000)))

    with pytest.raises(DataError, match="must hold at most 1_000_000 bytes"):
        read_idx(path, dimensions=3)


def test_the_real_files_are_within_the_limits():
    images = 60_000 * 28 * 28
    records = sum((CIFAR10.train_records * 5, CIFAR10.test_records)) * (1 + 3 * 32 * 32)
    assert images + 16 < mnist._LONGEST_FILE
    assert 1.5 * records < cifar._LONGEST_ARCHIVE


def test_every_download_is_known_by_its_sha256():
    remotes = [dataset.archive for dataset in CIFAR.values()]
    remotes += [file for dataset in MNIST.values() for file in dataset.files]
    assert len({remote.sha256 for remote in remotes}) == len(remotes) == 10
    assert all(len(bytes.fromhex(remote.sha256)) == 32 for remote in remotes)


def test_arrays_that_would_run_code_are_refused_unread(tmp_path):
    harmful = np.array([Touch(tmp_path / "ran")], dtype=object)
    np.savez(tmp_path / "harmful.npz", x=harmful, y=harmful)

    with pytest.raises(DataError, match=r"of plain arrays \(Object arrays cannot be loaded"):
        load_arrays(DataSettings(name="arrays", root=str(tmp_path / "harmful.npz")))

    assert not (tmp_path / "ran").exists()
    np.load(tmp_path / "harmful.npz", allow_pickle=True)["x"]
    assert (tmp_path / "ran").exists()


def npz(path: Path, header: bytes, content: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("x.npy", "y.npy"):
            file.writestr(name, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content)
    return path


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000, 1), }\n",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 1), }\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }\n",
        b"__import__('os').system('touch ran')\n",
        b"(" * 5000 + b"\n",
        b"{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (1, 1), }\n",
    ],
    ids=lambda header: ascii(header[:40]),
)
def test_arrays_that_claim_what_they_do_not_hold_are_refused(tmp_path, header):
    with pytest.raises(DataError):
        load_arrays(DataSettings(name="arrays", root=str(npz(tmp_path / "a.npz", header, b"\0"))))


def test_arrays_larger_than_the_memory_are_refused_unread(tmp_path):
    path = npz(tmp_path / "a.npz", b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1), }\n")
    content = path.read_bytes()
    # What the directory at the end says of the size of the first member, unpacked.
    place = content.index(b"PK\x01\x02") + 24
    path.write_bytes(content[:place] + (2**32 - 2).to_bytes(4, "little") + content[place + 4 :])
    many = {"available": 2**31}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psutil.virtual_memory", lambda: type("Memory", (), many))
        with pytest.raises(DataError, match="must fit into the memory of this machine: it takes 4,096 MiB"):
            load_arrays(DataSettings(name="arrays", root=str(path)))


def test_synthetic_images_larger_than_the_memory_are_refused():
    settings = DataSettings(name="synthetic", samples=1_000_000, image_size=1024, channels=16)
    with pytest.raises(DataError, match=r"data\.samples: must fit into the memory of this machine"):
        make_synthetic(settings)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def picture(path: Path, width: int, height: int, *chunks: bytes) -> Path:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    rows = zlib.compress(bytes(1000))
    parts = [chunk(b"IHDR", size + b"\x08\x02\0\0\0"), *chunks, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("side", [8_000, 10_000, 20_000, 2**30])
def test_a_picture_of_more_pixels_than_any_camera_takes_is_refused(tmp_path, side):
    path = picture(tmp_path / "bomb.png", side, side)
    with pytest.raises(DataError, match=r"bomb\.png: must be an image that can be decoded \(.*pixels"):
        decode_images(((path, 0),), 8)


def test_texts_of_a_picture_do_not_unpack_without_end(tmp_path):
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
    with pytest.raises(DataError, match="must be an image that can be decoded"):
        decode_images(((picture(tmp_path / "bomb.png", 8, 8, bomb), 0),), 8)


def test_pictures_larger_than_the_memory_are_refused(tmp_path):
    files = ((tmp_path / "a.png", 0),) * 1_000_000
    with pytest.raises(DataError, match="must fit into the memory of this machine"):
        decode_images(files, 1024)


def test_a_document_in_the_clothes_of_a_picture_is_not_opened(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(touch ran) run\n")
    with pytest.raises(DataError, match="must be an image that can be decoded"):
        decode_images(((path, 0),), 8)


def test_a_folder_that_leads_back_to_itself_is_read_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / name / "0.png")
        (tmp_path / "train" / name / "again.png").symlink_to(tmp_path, target_is_directory=True)
        os.mkfifo(tmp_path / "train" / name / "pipe.png")
    settings = DataSettings(name="image_folder", root=str(tmp_path), image_size=8)

    assert len(load_folder(settings).train) == 2


def test_every_byte_of_a_picture_may_be_wrong(tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    path = tmp_path / "b.png"
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            decode_images(((path, 0),), 8)
        except DataError:
            continue
