"""Images in memory: sources, fixed splits, and batches that are normalised and augmented on the device."""

from archsearch.data.dataset import Dataset, Split
from archsearch.data.loading import check_data, load_dataset
from archsearch.data.module import ImageDataModule, mix_seed
from archsearch.data.source import RawData, Source, load_source_plugins, register_source

__all__ = [
    "Dataset",
    "ImageDataModule",
    "RawData",
    "Source",
    "Split",
    "check_data",
    "load_dataset",
    "load_source_plugins",
    "mix_seed",
    "register_source",
]
