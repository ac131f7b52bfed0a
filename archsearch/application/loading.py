"""Exported networks given back, asked and verified; published ones built. Imports no more than torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from archsearch.architecture import natural_input, published_architecture
from archsearch.export.folder import load_export, load_raw
from archsearch.export.pictures import read_pictures
from archsearch.models import build_network

_BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image file.

    Attributes:
        probabilities: By class, most probable first.
    """

    file: str
    probabilities: dict[str, float]

    @property
    def named(self) -> str:
        """The class of the largest probability."""
        return next(iter(self.probabilities))


def load(folder: str | Path) -> nn.Module:
    """Give an exported network back in evaluation mode; it takes normalised images and returns logits.

    Nothing in the folder is executed: architecture.yaml and model.safetensors alone are read.

    Raises:
        ExportError: The folder is incomplete, altered or of another version.
    """
    return load_export(folder)


def build(name: str, *, input: tuple[int, ...] | None = None, classes: int | None = None) -> nn.Module:
    """Build a published network with fresh weights: ``build("resnet56", input=(3, 32, 32), classes=10)``.

    Args:
        name: A published name, as `archsearch describe` takes it.
        input: (channels, height, width), or (features,); None takes the layout's usual shape.
        classes: None takes the layout's usual number.

    Raises:
        ArchitectureError: There is no such network, or it does not fit the input.
    """
    architecture = published_architecture(name)
    usual_shape, usual_classes = natural_input(architecture)
    return build_network(architecture, input or usual_shape, classes or usual_classes)


def predict_files(folder: str | Path, files: Sequence[str | Path]) -> list[Prediction]:
    """Classify image files with an exported network.

    Raises:
        ExportError: The folder is incomplete, altered or of another version.
        DataError: A file is no image.
    """
    raw, network = load_raw(folder)
    images = read_pictures(files, network)
    with torch.inference_mode():
        rows = torch.cat([raw(some).softmax(1) for some in torch.split(images, _BATCH)])
    predictions = []
    for file, row in zip(files, rows, strict=True):
        order = row.argsort(descending=True, stable=True).tolist()
        predictions.append(
            Prediction(str(file), {network.class_names[number]: float(row[number]) for number in order})
        )
    return predictions
