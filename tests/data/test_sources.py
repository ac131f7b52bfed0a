"""Public sources: parsing, the places where files are looked for, downloads, and damaged files."""

import functools
import gzip
import hashlib
import http.server
import struct
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from archsearch.data import check_data, load_dataset
from archsearch.data.cifar import DATASETS as CIFAR
from archsearch.data.download import RemoteFile
from archsearch.data.mnist import DATASETS as MNIST
from archsearch.data.mnist import read_idx
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def server(tmp_path):
    """A web server of its own folder, which stands in for the public ones."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    serving = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Silent, directory=str(folder))
    )
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{serving.server_port}/"
    serving.shutdown()
    thread.join()
    serving.server_close()


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx_files(folder: Path, count: int = 40, *, compress: bool = True) -> None:
    random = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx_bytes(array)
            path = folder / f"{prefix}-{name}-ubyte"
            if compress:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)


def test_digits_are_scikit_learns_scaled_to_bytes():
    dataset = load_dataset(DataSettings())

    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 1797
    assert dataset.input_shape == (1, 8, 8)
    pixels = np.concatenate(
        [split.images.numpy().ravel() for split in (dataset.train, dataset.val, dataset.test)]
    )
    assert np.array_equal(
        np.sort(np.unique(pixels)), np.unique(np.round(load_digits().images * 255 / 16)).astype(np.uint8)
    )


def test_an_unknown_source_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"data\.name: must be one of arrays, cifar10, .*, got imagenet"):
        check_data(DataSettings(name="imagenet"))


def test_synthetic_images_do_not_depend_on_the_split_seed():
    first = load_dataset(DataSettings(name="synthetic", samples=60, classes=3, image_size=5, channels=2))
    other = load_dataset(
        DataSettings(name="synthetic", samples=60, classes=3, image_size=5, channels=2, split_seed=1)
    )

    assert first.input_shape == (2, 5, 5)

    def pixels(dataset):
        return sorted(
            row.tobytes()
            for split in (dataset.train, dataset.val, dataset.test)
            for row in split.images.numpy()
        )

    assert pixels(first) == pixels(other)
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize("compress", [True, False])
def test_idx_files_in_the_root_are_read(tmp_path, compress):
    write_idx_files(tmp_path, compress=compress)

    dataset = load_dataset(DataSettings(name="mnist", root=str(tmp_path), download=False))

    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (30, 10, 40)
    assert dataset.input_shape == (1, 28, 28)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="Debian's dataset-fashion-mnist is not installed",
)
def test_fashion_mnist_is_found_where_debian_puts_it():
    dataset = load_dataset(DataSettings(name="fashion_mnist", download=False, train_limit=1000))

    assert len(dataset.test) == 10_000
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert np.bincount(dataset.train.labels).tolist() == [100] * 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08\x01" + struct.pack(">I", 3) + b"\1\2", r"must hold 11 bytes.*got 10"),
        (b"\0\0\x08\x01" + struct.pack(">I", 1) + b"\1\2", r"must hold 9 bytes.*got 10"),
        (
            b"\0\0\x0d\x01" + struct.pack(">I", 1) + b"\1",
            "must be an idx file of unsigned bytes in 1 dimensions",
        ),
        (
            b"\0\0\x08\x03" + struct.pack(">I", 1) + b"\1",
            "must be an idx file of unsigned bytes in 1 dimensions",
        ),
        (b"\0\0", "must be an idx file"),
        (b"\0\0\x08\x01" + struct.pack(">I", 0), "must hold 8 bytes"),
    ],
)
def test_a_wrong_idx_file_is_an_error(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_idx(path, dimensions=1)


def test_a_truncated_gzip_file_is_an_error(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)))[:-20])

    with pytest.raises(DataError, match=r"labels\.gz: must be a readable file"):
        read_idx(path, dimensions=1)


def test_labels_that_do_not_fit_the_images_are_an_error(tmp_path):
    write_idx_files(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(39, dtype=np.uint8))))
    with pytest.raises(DataError, match="must hold a label for each of 40 images, got 39"):
        load_dataset(DataSettings(name="mnist", root=str(tmp_path)))

    path.write_bytes(gzip.compress(idx_bytes(np.full(40, 10, dtype=np.uint8))))
    with pytest.raises(DataError, match="must hold labels below 10, got 10"):
        load_dataset(DataSettings(name="mnist", root=str(tmp_path)))


def test_files_that_are_nowhere_and_may_not_be_downloaded_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"data\.root: must hold train-images-idx3-ubyte.*download: true"):
        check_data(DataSettings(name="mnist", root=str(tmp_path), download=False))


def test_missing_files_are_downloaded_once_and_checked(tmp_path, server):
    folder, address = server
    write_idx_files(folder)
    files = tuple(
        RemoteFile(address, file.name, hashlib.sha256((folder / file.name).read_bytes()).hexdigest())
        for file in MNIST["mnist"].files
    )
    source = replace(MNIST["mnist"], files=files)

    first = source.load(DataSettings(name="mnist"))
    for path in folder.iterdir():
        path.unlink()
    again = source.load(DataSettings(name="mnist"))

    assert len(first.train) == len(again.train) == 40
    assert (tmp_path / "cache/archsearch/mnist" / files[0].name).is_file()


def test_a_download_with_another_hash_is_refused(tmp_path, server):
    folder, address = server
    write_idx_files(folder)
    files = tuple(RemoteFile(address, file.name, "0" * 32) for file in MNIST["mnist"].files)

    with pytest.raises(
        DataError, match=r"must be downloadable from http://127.*hash.*name its folder as data\.root"
    ):
        replace(MNIST["mnist"], files=files).load(DataSettings(name="mnist"))
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_a_download_that_fails_is_an_error(server):
    _, address = server
    files = tuple(RemoteFile(address, file.name, "0" * 32) for file in MNIST["mnist"].files)

    with pytest.raises(DataError, match=r"must be downloadable from .*404"):
        replace(MNIST["mnist"], files=files).load(DataSettings(name="mnist"))


def small_cifar(name: str):
    return replace(CIFAR[name], train_records=20, test_records=10)


def write_cifar(folder: Path, name: str) -> np.ndarray:
    source = small_cifar(name)
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows = []
    for file in (*source.train_files, source.test_file):
        count = source.test_records if file == source.test_file else source.train_records
        row = random.integers(0, 256, (count, source.label_bytes + 3072), dtype=np.uint8)
        row[:, source.label_bytes - 1] = np.arange(count) % source.num_classes
        (folder / file).write_bytes(row.tobytes())
        rows.append(row)
    (folder / source.names_file).write_text("\n".join(f"class{index}" for index in range(source.num_classes)))
    return np.concatenate(rows[:-1])


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_extracted_cifar_files_are_read(tmp_path, name):
    source = small_cifar(name)
    rows = write_cifar(tmp_path / source.folder, name)

    raw = source.load(DataSettings(name=name, root=str(tmp_path), download=False))

    start = source.label_bytes
    assert raw.train.images.shape == (len(rows), 3, 32, 32)
    assert raw.train.images[7, 2, 3, 4] == rows[7, start + 2 * 1024 + 3 * 32 + 4]
    assert raw.train.labels.tolist() == rows[:, start - 1].tolist()
    assert raw.classes[3] == "class3"
    assert raw.test is not None
    assert len(raw.test) == 10


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_cifar_archive_is_read_without_extracting_it(tmp_path, name):
    source = small_cifar(name)
    rows = write_cifar(tmp_path / "made" / source.folder, name)
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / source.archive.name, "w:gz") as archive:
        archive.add(tmp_path / "made" / source.folder, arcname=source.folder)

    raw = source.load(DataSettings(name=name, root=str(root), download=False))

    assert np.array_equal(raw.train.images.flatten(1).numpy(), rows[:, source.label_bytes :])
    assert [path.name for path in root.iterdir()] == [source.archive.name]


def test_a_cifar_archive_is_downloaded(tmp_path, server):
    folder, address = server
    source = small_cifar("cifar10")
    write_cifar(tmp_path / "made" / source.folder, "cifar10")
    with tarfile.open(folder / source.archive.name, "w:gz") as archive:
        archive.add(tmp_path / "made" / source.folder, arcname=source.folder)
    sha256 = hashlib.sha256((folder / source.archive.name).read_bytes()).hexdigest()

    raw = replace(source, archive=RemoteFile(address, source.archive.name, sha256)).load(
        DataSettings(name="cifar10")
    )

    assert len(raw.train) == 100


def test_damaged_cifar_files_are_errors(tmp_path):
    source = small_cifar("cifar10")
    settings = DataSettings(name="cifar10", root=str(tmp_path), download=False)
    with pytest.raises(DataError, match=r"must hold data_batch_1\.bin or cifar-10-binary\.tar\.gz"):
        source.check(settings)

    write_cifar(tmp_path, "cifar10")
    whole = (tmp_path / "data_batch_3.bin").read_bytes()
    (tmp_path / "data_batch_3.bin").write_bytes(whole[:-3073])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: must hold 20 images, 61460 bytes, got 58387"):
        source.load(settings)

    (tmp_path / "data_batch_3.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: must hold labels below 10, got 10"):
        source.load(settings)

    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin: must be readable"):
        source.load(settings)


def test_an_archive_of_something_else_is_an_error(tmp_path):
    source = small_cifar("cifar10")
    settings = DataSettings(name="cifar10", root=str(tmp_path), download=False)
    path = tmp_path / source.archive.name
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"must be the archive cifar-10-binary\.tar\.gz"):
        source.load(settings)

    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(DataError, match=r"must hold cifar-10-batches-bin/data_batch_1\.bin"):
        source.load(settings)

    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="as a plain file"):
        source.load(settings)
