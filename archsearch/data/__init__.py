"""Images in memory: sources, fixed splits, and batches that are normalised and augmented on the device.

The LightningDataModule is imported from `archsearch.data.module`, since Lightning takes seconds to import.
"""

from archsearch.data.dataset import Dataset, Split
from archsearch.data.loading import check_data, give_dataset, load_dataset
from archsearch.data.source import RawData, Source, load_source_plugins, register_source

__all__ = [
    "Dataset",
    "RawData",
    "Source",
    "Split",
    "check_data",
    "give_dataset",
    "load_dataset",
    "load_source_plugins",
    "register_source",
]
