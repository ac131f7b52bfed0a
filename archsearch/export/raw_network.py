"""A network that takes raw images: what model.onnx and model.pt2 hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.export.description import ExportedNetwork
from archsearch.models import build_network


class RawNetwork(nn.Module):
    """Raw images as float32, in the range of the data source, to logits.

    The images are normalised the way `archsearch.data.module.Normalisation` does it, bit for bit.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, described: ExportedNetwork) -> None:
        super().__init__()
        self.network = network
        shape = (1, -1, 1, 1) if len(described.input_shape) == 3 else (1, -1)
        mean = torch.tensor(described.mean, dtype=torch.float64).view(shape)
        std = torch.tensor(described.std, dtype=torch.float64).view(shape)
        self.register_buffer("scale", (1 / (std * described.largest)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, ``[N, classes]``."""
        logits: Tensor = self.network(images.float() * self.scale + self.shift)
        return logits


def build_fresh(described: ExportedNetwork) -> nn.Module:
    """Build the network with weights as they begin; the caller's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        return build_network(described.architecture, described.input_shape, len(described.class_names))


def build_trained(described: ExportedNetwork) -> nn.Module:
    """Build the network with the weights that `described` holds, in evaluation mode on the CPU."""
    network = build_fresh(described)
    network.load_state_dict(dict(described.weights))
    return network.eval()
