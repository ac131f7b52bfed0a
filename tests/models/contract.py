"""What every block and every shortcut must do, a plugin's among them."""

from __future__ import annotations

from dataclasses import replace

import torch

from archsearch.architecture import (
    BLOCKS,
    SHORTCUTS,
    Architecture,
    normal_form,
    plan_network,
    resolve_architecture,
)
from archsearch.models import build_network
from archsearch.models.blocks import build_block
from archsearch.models.layers import Layers
from tests.architecture.random_fields import STAGES, small_input

CLASSES = 3


def settings_of_block(name: str) -> list[dict[str, object]]:
    """Every layout, form, order and shortcut that a block allows, each once."""
    definition = BLOCKS[name]
    settings: list[dict[str, object]] = []
    for layout in definition.layouts:
        forms = [True, False] if {"basic", "bottleneck"} <= set(definition.forms) else [None]
        orders = [True, False] if "preactivation" in definition.fields and layout != "vgg" else [None]
        able = [shortcut for shortcut, other in SHORTCUTS.items() if definition.join in other.joins]
        settings += [
            {
                "block": name,
                "layout": layout,
                "blocks": [2] + [1] * (STAGES[layout] - 1),
                "width": 4,
                "cardinality": 2 if "cardinality" in definition.fields and layout != "mlp" else None,
                "bottleneck": form if layout in ("cifar", "imagenet") else None,
                "preactivation": order,
                "shortcut": shortcut,
            }
            for form in (forms if layout in ("cifar", "imagenet") else [None])
            for order in orders
            for shortcut in (able if definition.has_shortcut else [None])
        ]
    return settings


def check_network(fields: dict[str, object]) -> None:
    """Build a network, train a step, and check what must hold for all."""
    architecture = resolve_architecture(fields)
    shape = small_input(architecture)
    torch.manual_seed(0)
    network = build_network(architecture, shape, CLASSES)
    images = torch.randn(3, *shape)

    logits = network.train()(images)
    logits.square().sum().backward()

    assert logits.shape == (3, CLASSES)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, (name, fields)
        assert parameter.grad.isfinite().all(), (name, fields)
    network.eval()
    assert torch.equal(network(images), network(images))
    _check_seed(architecture, shape)
    for norm in ("batch", "none"):
        _check_dimensions(replace(architecture, norm=norm))


def _check_seed(architecture: Architecture, shape: tuple[int, ...]) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(build_network(architecture, shape, CLASSES).state_dict())
    for name, first in states[0].items():
        assert torch.equal(first, states[1][name]), name


def _check_dimensions(architecture: Architecture) -> None:
    """A block gives out what its plan says, at its stride, and leaves its input alone."""
    normal = normal_form(architecture)
    joins = BLOCKS[normal.block].join
    for plan in plan_network(normal, input_channels=3).blocks:
        block = build_block(plan, Layers(normal)).eval()
        size = () if normal.layout == "mlp" else (6, 8)
        x = torch.randn(2, plan.in_channels, *size)
        before = x.clone()
        y = block(x)
        channels = plan.out_channels + (plan.in_channels if joins == "concatenate" else 0)
        assert y.shape == (2, channels, *(side // plan.stride for side in size))
        assert torch.equal(x, before)
