"""Image files as a network takes them: raw, in its size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archsearch.data.image_folder import decode_image
from archsearch.errors import ExportError
from archsearch.export.description import ExportedNetwork

_MODES = {1: "L", 3: "RGB"}


def read_pictures(paths: Sequence[str | Path], network: ExportedNetwork) -> Tensor:
    """Decode image files to raw images, float32, resized to the network's input where they differ.

    Raises:
        ExportError: The network takes no such images.
        DataError: A file cannot be decoded.
    """
    channels, *size = network.input_shape
    if len(size) != 2 or channels not in _MODES:
        raise ExportError(
            "must take images of one or three channels to be given image files",
            path="input_shape",
            got=network.input_shape,
            fix="Use archsearch.load in Python.",
        )
    height, width = size
    decoded = [decode_image(Path(path), (width, height), _MODES[channels]) for path in paths]
    images = torch.from_numpy(np.stack(decoded)).view(len(decoded), height, width, channels)
    raw = images.permute(0, 3, 1, 2).contiguous().float()
    return raw if network.largest == 255 else raw / 255
