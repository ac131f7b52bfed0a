"""From settings to a data set: find the source, read it, split it."""

from __future__ import annotations

from functools import lru_cache

from archsearch.data import arrays, cifar, computed, image_folder, mnist
from archsearch.data.dataset import Dataset, build_dataset
from archsearch.data.source import Source, find_source, register_source
from archsearch.data.splitting import split_data
from archsearch.study.settings import DataSettings

register_source("digits", Source(computed.load_digits))
register_source("synthetic", Source(computed.make_synthetic))
register_source("arrays", Source(arrays.load_arrays, arrays.check_arrays))
register_source("image_folder", Source(image_folder.load_folder, image_folder.check_folder))
for _name, _files in mnist.DATASETS.items():
    register_source(_name, Source(_files.load, _files.check))
for _name, _archive in cifar.DATASETS.items():
    register_source(_name, Source(_archive.load, _archive.check))


_given: dict[DataSettings, Dataset] = {}


# Four: a study that sweeps train_limit goes to and fro between a few data sets of equal images.
@lru_cache(maxsize=4)
def load_dataset(settings: DataSettings) -> Dataset:
    """Load and split the data; the same settings give the same object within a process.

    Raises:
        DataError: The source is unknown, missing, damaged, or too small to be split.
    """
    if settings in _given:
        return _given[settings]
    raw = find_source(settings.name).load(settings)
    train, val, test = split_data(raw, settings)
    return build_dataset(settings.name, train, val, test, classes=raw.classes)


def give_dataset(settings: DataSettings, dataset: Dataset) -> None:
    """Have `load_dataset` return what another process has loaded, and read nothing."""
    _given[settings] = dataset
    load_dataset(settings)
    del _given[settings]


def check_data(settings: DataSettings) -> None:
    """Check that the data is there, without reading images.

    Raises:
        DataError: The source is unknown, or has nothing at `root` that it could read.
    """
    find_source(settings.name).check(settings)
