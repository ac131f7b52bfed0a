"""Fixed, stratified splits and what is measured on them."""

import numpy as np
import pytest
import torch

from archsearch.data import Split, load_dataset
from archsearch.data.dataset import measure_channels, take_fingerprint
from archsearch.data.splitting import limit_images, set_aside
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


def split_of(sizes):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Split(torch.arange(len(labels))[:, None].float(), labels)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_split_is_disjoint_whole_and_stratified():
    rest, taken = set_aside(split_of([50, 10, 2]), 0.2, seeded())

    assert torch.bincount(taken.labels).tolist() == [10, 2, 1]
    assert torch.bincount(rest.labels).tolist() == [40, 8, 1]
    assert sorted(torch.cat([rest.images, taken.images]).flatten().tolist()) == list(range(62))


def test_the_images_set_aside_are_chosen_at_random():
    chosen = [
        set_aside(split_of([50, 50]), 0.2, seeded(seed))[1].images.flatten().tolist() for seed in range(50)
    ]

    assert len({tuple(images) for images in chosen}) == 50
    assert len({image for images in chosen for image in images}) == 100


def test_a_class_of_one_image_cannot_be_split():
    with pytest.raises(DataError, match=r"data\.test_frac: needs at least two images of each class.*class 1"):
        set_aside(split_of([5, 1]), 0.2, seeded(), field="data.test_frac")


@pytest.mark.parametrize("limit", [3, 10, 31, 61, 62, 100])
def test_a_limit_is_met_exactly_and_in_proportion(limit):
    limited = limit_images(split_of([50, 10, 2]), limit, seeded())

    sizes = torch.bincount(limited.labels)
    assert len(limited) == min(limit, 62)
    assert bool((sizes >= 1).all())
    share = np.array([50, 10, 2]) * min(limit, 62) / 62
    assert np.all(np.abs(sizes.numpy() - share) <= 2)


def test_a_limit_below_the_number_of_classes_is_an_error():
    with pytest.raises(
        DataError, match=r"data\.train_limit: must be 0 or at least the number of classes \(3\), got 2"
    ):
        limit_images(split_of([50, 10, 2]), 2, seeded())


def test_a_limit_changes_the_training_split_only():
    whole = load_dataset(DataSettings())
    limited = load_dataset(DataSettings(train_limit=100))

    assert len(limited.train) == 100
    assert torch.equal(whole.val.images, limited.val.images)
    assert torch.equal(whole.test.images, limited.test.images)
    assert whole.fingerprint != limited.fingerprint


def test_the_split_is_that_of_its_seed():
    load_dataset.cache_clear()
    first = load_dataset(DataSettings())
    load_dataset.cache_clear()
    torch.manual_seed(99)
    again = load_dataset(DataSettings())
    other = load_dataset(DataSettings(split_seed=1))

    assert first is not again
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint
    assert load_dataset(DataSettings()) is again


def test_a_fingerprint_sees_every_image_and_label():
    splits = [split_of([3, 3]), split_of([2, 2])]
    before = take_fingerprint(*splits)

    splits[1].labels[3] = 0
    assert take_fingerprint(*splits) != before
    splits[1].labels[3] = 1
    assert take_fingerprint(*splits) == before
    splits[0].images[5] += 1
    assert take_fingerprint(*splits) != before


def test_channels_are_measured_as_numpy_does():
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 2, 3, 3), dtype=np.uint8)
    pixels[:, 1] = 255

    mean, std = measure_channels(torch.from_numpy(pixels))

    assert mean == pytest.approx(((pixels[:, 0] / 255).mean(), 1.0))
    assert std == pytest.approx(((pixels[:, 0] / 255).std(), 1.0))
