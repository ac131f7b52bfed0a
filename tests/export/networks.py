"""Networks as if they had been trained: no weight and no statistic is as it began."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from archsearch.architecture import Architecture
from archsearch.export import ExportedNetwork
from archsearch.models import build_network
from tests.architecture.random_fields import small_input


def disturbed_network(
    architecture: Architecture, shape: tuple[int, ...], classes: int, seed: int
) -> nn.Module:
    """Move all weights, so that a branch that begins at 0 matters too, and the statistics of norms."""
    torch.manual_seed(seed)
    network = build_network(architecture, shape, classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return network.eval()


def describe(
    architecture: Architecture,
    *,
    seed: int = 0,
    shape: tuple[int, ...] | None = None,
    class_names: Sequence[str] = ("no", "yes", "true: #"),
    largest: int = 255,
    formats: tuple[str, ...] = (),
) -> ExportedNetwork:
    shape = shape or small_input(architecture)
    channels = shape[0] if len(shape) == 3 else 1
    return ExportedNetwork(
        architecture=architecture,
        input_shape=shape,
        class_names=tuple(class_names),
        mean=tuple(0.4 + 0.05 * channel for channel in range(channels)),
        std=tuple(0.3 - 0.05 * channel for channel in range(channels)),
        largest=largest,
        weights=disturbed_network(architecture, shape, len(class_names), seed).state_dict(),
        formats=formats,
    )
