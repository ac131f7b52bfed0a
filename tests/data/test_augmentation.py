"""What augmentation may do to an image, and how chance enters."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from archsearch.data.augmentation import Augmentation, augment_images, build_augmentation, draw_choices
from archsearch.errors import DataError
from archsearch.study.settings import TrainingSettings


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, channels=2, height=6, width=8):
    """Images of distinct pixels, none of them 0."""
    return torch.arange(1, count * channels * height * width + 1).float().view(count, channels, height, width)


def test_every_crop_is_a_window_of_its_padded_original():
    images = numbered(200)
    augmentation = Augmentation(6, 8, padding=2)
    draws = draw_choices(augmentation, 200, seeded())

    cropped = augment_images(images, augmentation, draws)

    padded = F.pad(images, (2, 2, 2, 2))
    for original, result, (top, left) in zip(padded, cropped, draws.crop.tolist(), strict=True):
        assert torch.equal(result, original[:, top : top + 6, left : left + 8])
    assert {tuple(place) for place in draws.crop.tolist()} == {(i, j) for i in range(5) for j in range(5)}


def test_half_of_the_images_are_mirrored_and_the_others_left():
    images = numbered(2000)
    augmentation = Augmentation(6, 8, flip=True)

    result = augment_images(images, augmentation, draw_choices(augmentation, 2000, seeded()))

    mirrored = (result == images.flip(3)).flatten(1).all(1)
    same = (result == images).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 0.45 < mirrored.float().mean() < 0.55


def test_crop_and_flip_together_are_one_after_the_other():
    images = numbered(50)
    augmentation = Augmentation(6, 8, padding=3, flip=True)
    draws = draw_choices(augmentation, 50, seeded())

    both = augment_images(images, augmentation, draws)

    cropped = augment_images(images, augmentation, type(draws)(draws.crop, None, ()))
    expected = torch.stack([c.flip(2) if f else c for c, f in zip(cropped, draws.flip.tolist(), strict=True)])
    assert torch.equal(both, expected)


def test_cutout_blanks_a_square_that_may_reach_over_the_edge():
    images = numbered(500)
    augmentation = Augmentation(6, 8, cutout=4)

    result = augment_images(images, augmentation, draw_choices(augmentation, 500, seeded()))

    blank = result == 0
    assert torch.equal(result[~blank], images[~blank])
    assert torch.equal(blank[:, 0], blank[:, 1])
    heights = blank[:, 0].any(2).sum(1)
    widths = blank[:, 0].any(1).sum(1)
    assert torch.equal(blank[:, 0].sum((1, 2)), heights * widths)
    assert heights.max() == widths.max() == 4
    assert heights.min() >= 1
    assert (heights * widths).min() < 16


def test_random_erasing_blanks_rectangles_in_half_of_the_images():
    images = numbered(2000, height=32, width=32)
    augmentation = Augmentation(32, 32, erase=True)

    blank = augment_images(images, augmentation, draw_choices(augmentation, 2000, seeded()))[:, 0] == 0

    area = blank.sum((1, 2))
    assert torch.equal(area, blank.any(2).sum(1) * blank.any(1).sum(1))
    erased = area > 0
    assert 0.45 < erased.float().mean() < 0.55
    share = area[erased] / 1024
    # The mean of a uniform share between 0.02 and 0.4; what exceeds the image is clipped.
    assert 0.19 < share.mean() < 0.22
    assert 0.015 < share.min() < share.max() < 0.42


def test_sizes_left_at_zero_follow_the_image():
    settings = TrainingSettings(augmentation="crop_cutout")

    assert build_augmentation(settings, (3, 32, 32)) == Augmentation(32, 32, padding=4, cutout=16)
    assert build_augmentation(settings, (1, 8, 8)) == Augmentation(8, 8, padding=1, cutout=4)
    explicit = TrainingSettings(augmentation="crop_flip_cutout_erase", crop_padding=2, cutout_size=3)
    assert build_augmentation(explicit, (1, 8, 9)) == Augmentation(
        8, 9, padding=2, flip=True, cutout=3, erase=True
    )
    assert build_augmentation(TrainingSettings(), (1, 8, 8)) is None


def test_an_augmentation_that_does_not_fit_is_an_error():
    with pytest.raises(
        DataError, match=r"training\.augmentation: must be none, for these inputs are flat.*, got flip"
    ):
        build_augmentation(TrainingSettings(augmentation="flip"), (64,))
    with pytest.raises(
        DataError, match=r"training\.crop_padding: must be at most 8, the image's side, got 9"
    ):
        build_augmentation(TrainingSettings(augmentation="crop", crop_padding=9), (1, 8, 10))
