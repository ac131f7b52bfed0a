"""What is known of a network before it is built, against the network itself."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.architecture import Architecture
from archsearch.models import build_network, count_cost


def check_prediction(architecture: Architecture, shape: tuple[int, ...], classes: int) -> None:
    """Build a network and train it a step: its output, parameters and MACs are those that were predicted.

    torch counts its multiplications and additions itself, each for one.
    """
    predicted = count_cost(architecture, shape, classes)
    torch.manual_seed(0)
    network = build_network(architecture, shape, classes).train()
    # Two, since batch norm refuses a single image whose resolution is down to one pixel.
    images = torch.randn(2, *shape)
    with FlopCounterMode(display=False) as counted:
        logits = network(images)
    loss = nn.functional.cross_entropy(logits, torch.arange(2) % classes)
    loss.backward()

    assert logits.shape == (2, classes), architecture
    assert sum(parameter.numel() for parameter in network.parameters()) == predicted.parameters, architecture
    assert counted.get_total_flops() == 2 * 2 * predicted.macs, architecture
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, (name, architecture)
        assert parameter.grad.shape == parameter.shape, (name, architecture)
