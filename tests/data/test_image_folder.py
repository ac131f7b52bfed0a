"""Folders of images: decoding, the cache on disk, and what is wrong with a folder."""

import numpy as np
import pytest
import torch
from PIL import Image

from archsearch.data import check_data, image_folder, load_dataset
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_images(root, *, splits=("train", "test"), classes=("cat", "dog"), count=10, size=(6, 6)):
    random = np.random.default_rng(0)
    for split in splits:
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")


def settings_for(root, size=6):
    return DataSettings(name="image_folder", root=str(root), image_size=size)


def test_images_come_out_as_they_are_with_their_folder_as_class(tmp_path):
    write_images(tmp_path / "images")

    dataset = load_dataset(settings_for(tmp_path / "images"))

    assert dataset.classes == ("cat", "dog")
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [16, 4, 20]
    with Image.open(tmp_path / "images/test/dog/3.png") as image:
        assert np.array_equal(dataset.test.images[13].permute(1, 2, 0).numpy(), np.asarray(image))
    assert dataset.test.labels.tolist() == [0] * 10 + [1] * 10


def test_images_of_other_sizes_and_modes_become_rgb_of_the_size_asked(tmp_path):
    root = tmp_path / "images"
    write_images(root, size=(9, 5))
    Image.new("L", (30, 20), color=100).save(root / "train/cat/grey.png")

    images = image_folder.decode_images(((root / "train/cat/grey.png", 0),), 8)

    assert images.shape == (1, 3, 8, 8)
    assert torch.all(images == 100)
    assert load_dataset(settings_for(root, 8)).input_shape == (3, 8, 8)


def test_images_are_decoded_once_until_a_file_changes(tmp_path, monkeypatch):
    root = tmp_path / "images"
    write_images(root)
    first = image_folder.load_folder(settings_for(root))
    decoded = []
    decode = image_folder.decode_images
    monkeypatch.setattr(
        image_folder, "decode_images", lambda files, size: decoded.append(len(files)) or decode(files, size)
    )

    again = image_folder.load_folder(settings_for(root))
    assert decoded == []
    assert torch.equal(first.train.images, again.train.images)

    Image.new("RGB", (6, 6)).save(root / "train/cat/0.png")
    changed = image_folder.load_folder(settings_for(root))
    assert decoded == [20, 20]
    assert not torch.equal(first.train.images, changed.train.images)


def test_a_damaged_cache_is_written_anew(tmp_path):
    root = tmp_path / "images"
    write_images(root)
    first = image_folder.load_folder(settings_for(root))
    (cached,) = (tmp_path / "cache/archsearch/image_folder").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])

    again = image_folder.load_folder(settings_for(root))

    assert torch.equal(first.train.images, again.train.images)
    assert cached.stat().st_size > 100


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    root = tmp_path / "images"
    write_images(root)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.warns(UserWarning, match="decoded images are not kept in"):
        raw = image_folder.load_folder(settings_for(root))

    assert len(raw.train) == 20


@pytest.mark.parametrize("damage", ["truncated", "text", "deep"])
def test_a_broken_image_is_named(tmp_path, damage):
    root = tmp_path / "images"
    write_images(root)
    path = root / "train/dog/4.png"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:80])
    elif damage == "text":
        path.write_text("no image")
    else:
        Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(path)

    with pytest.raises(DataError, match=r"train/dog/4\.png: must be an image that can be decoded"):
        load_dataset(settings_for(root))


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"data\.root: must be a folder that holds train/<class>"):
        check_data(settings_for(tmp_path / "nowhere"))

    one = tmp_path / "one"
    write_images(one, classes=("cat",))
    with pytest.raises(DataError, match="each of at least two classes"):
        check_data(settings_for(one))

    differ = tmp_path / "differ"
    write_images(differ, splits=("train",))
    write_images(differ, splits=("test",), classes=("cat", "cow"))
    with pytest.raises(DataError, match=r"must have the classes of .*train, got \['cow', 'dog'\]"):
        check_data(settings_for(differ))

    empty = tmp_path / "empty"
    write_images(empty, splits=("train",), count=0)
    with pytest.raises(DataError, match="cat: must hold images"):
        check_data(settings_for(empty))
