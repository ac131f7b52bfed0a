"""Batches: what is in them, and what they depend on."""

import pytest
import torch

from archsearch.data import Dataset, Split, load_dataset
from archsearch.data.dataset import build_dataset
from archsearch.data.module import ImageDataModule
from archsearch.study.settings import DataSettings, TrainingSettings


def dataset_of(count: int, flat: bool = False) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    shape = (count, 5) if flat else (count, 3, 6, 6)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(count) % 2)
    return build_dataset("made", split, split, split, classes=("even", "odd"))


def epoch_of(module: ImageDataModule, epoch: int):
    loader = module.train_dataloader()
    loader.set_epoch(epoch)
    return list(loader)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, other, strict=True)
    )


def test_an_epoch_depends_on_seed_and_epoch_alone():
    settings = TrainingSettings(augmentation="crop_flip_cutout_erase", batch_size=8)
    dataset = dataset_of(40)
    first = epoch_of(ImageDataModule(dataset, settings, seed=3), 2)

    module = ImageDataModule(dataset, settings, seed=3)
    epoch_of(module, 7)
    torch.manual_seed(5)
    assert same(first, epoch_of(module, 2))
    assert not same(first, epoch_of(module, 3))
    assert not same(first, epoch_of(ImageDataModule(dataset, settings, seed=4), 2))
    # Seed and epoch are not merely added.
    assert not same(first, epoch_of(ImageDataModule(dataset, settings, seed=2), 3))


def test_every_image_comes_once_an_epoch_with_its_label():
    dataset = dataset_of(40)
    batches = epoch_of(ImageDataModule(dataset, TrainingSettings(batch_size=16), seed=0), 0)

    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    (evaluation,) = ImageDataModule(dataset, TrainingSettings(), seed=0).train_eval_dataloader()
    rows = {tuple(image.flatten().tolist()): int(label) for image, label in zip(*evaluation, strict=True)}
    trained = [
        (tuple(image.flatten().tolist()), int(label))
        for images, labels in batches
        for image, label in zip(images, labels, strict=True)
    ]
    assert dict(trained) == rows
    assert len(trained) == 40
    assert [label for _, label in trained] != dataset.train.labels.tolist()


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(40, 20, [20, 20]), (41, 20, [20, 20]), (42, 20, [20, 20, 2]), (3, 1, [1, 1, 1]), (5, 64, [5])],
)
def test_a_last_batch_is_kept_unless_it_is_one_image(count, batch_size, sizes):
    loader = ImageDataModule(
        dataset_of(count), TrainingSettings(batch_size=batch_size), seed=0
    ).train_dataloader()

    assert len(loader) == len(sizes)
    assert [len(labels) for _, labels in loader] == sizes


@pytest.mark.parametrize("flat", [False, True])
def test_batches_are_normalised_by_the_training_images(flat):
    module = ImageDataModule(dataset_of(300, flat=flat), TrainingSettings(), seed=0)

    loader = module.train_eval_dataloader()
    images = torch.cat([images for images, _ in loader])

    assert len(loader) == 2
    assert images.dtype == torch.float32
    dims = (0, 1) if flat else (0, 2, 3)
    assert torch.allclose(images.mean(dims), torch.tensor(0.0), atol=1e-5)
    assert torch.allclose(images.std(dims, correction=0), torch.tensor(1.0), atol=1e-5)


def test_validation_and_test_images_come_in_their_order():
    dataset = load_dataset(DataSettings())
    module = ImageDataModule(dataset, TrainingSettings(augmentation="flip"), seed=0)

    for loader, split in ((module.val_dataloader(), dataset.val), (module.test_dataloader(), dataset.test)):
        assert torch.equal(torch.cat([labels for _, labels in loader]), split.labels)
        pixels = torch.cat([images for images, _ in loader]) * dataset.std[0] + dataset.mean[0]
        assert torch.allclose(pixels * 255, split.images.float(), atol=1e-3)
