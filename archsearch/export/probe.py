"""Images of noise that are the same everywhere, on which a folder can be verified where its data are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from archsearch.export.description import ExportedNetwork

_IMAGES = 8
# The generator of the C standard's example, in whole numbers alone.
_FACTOR, _TERM, _MODULUS = 1103515245, 12345, 2**31


def make_probe(network: ExportedNetwork) -> Tensor:
    """Make raw images of noise, float32, whatever the machine or the version of torch."""
    values, state = [], 1
    for _ in range(_IMAGES * math.prod(network.input_shape)):
        state = (state * _FACTOR + _TERM) % _MODULUS
        values.append(state >> 16 & 255)
    images = torch.tensor(values, dtype=torch.float32).view(_IMAGES, *network.input_shape)
    return images if network.largest == 255 else images / 255


def describe_probe(logits: Tensor) -> dict[str, Any]:
    """Put down what a network gives for the probe."""
    return {"images": _IMAGES, "logits": logits.tolist()}


def read_probe(metrics: Mapping[str, Any]) -> Tensor:
    """Read it again; KeyError, TypeError or ValueError where it is not there."""
    rows: Sequence[Sequence[float]] = metrics["probe"]["logits"]
    return torch.tensor(rows, dtype=torch.float32)
