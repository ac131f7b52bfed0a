"""A data set on its way to another process."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import torch

from archsearch.data import Dataset, Split


def disassemble(dataset: Dataset) -> dict[str, Any]:
    """Take a data set apart into numpy arrays, which all workers of a Ray node read from one place."""
    parts: dict[str, Any] = {}
    for field in dataclasses.fields(dataset):
        value = getattr(dataset, field.name)
        if isinstance(value, Split):
            value = (value.images.contiguous().numpy(), value.labels.contiguous().numpy())
        parts[field.name] = value
    return parts


def assemble(parts: dict[str, Any]) -> Dataset:
    """Put a data set together again, without copying; its images and labels must not be written to."""
    fields = dict(parts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        for name in ("train", "val", "test"):
            images, labels = parts[name]
            fields[name] = Split(torch.from_numpy(images), torch.from_numpy(labels))
    return Dataset(**fields)
