"""How the weights of a network begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from archsearch.architecture import Architecture
from archsearch.models.layers import Gate

Weighted = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm


def initialize(network: nn.Module, architecture: Architecture) -> None:
    """Draw all weights of a network from torch's global random numbers; biases are 0, but of gates.

    ``he`` is He et al. 2015 (1502.01852), by the outputs of convolutions and the inputs of linear layers;
    ``zero_gamma`` Goyal et al. 2017 (1706.02677); ``fixup`` Zhang et al. 2019 (1901.09321). Gates and the
    last layer begin as with ``he`` under ``identity``, which would make them mere copies.
    """
    name = architecture.initialization
    draw = _DRAWS.get(name, _draw_he)
    if name == "normal":
        draw = partial(_draw_normal, std=architecture.initialization_std or 0.0)
    never_copies = _not_copied(network) if name == "identity" else set()
    for module in network.modules():
        if isinstance(module, Weighted):
            (_draw_he if module in never_copies else draw)(module)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, Gate) and module.layer.bias is not None:
            nn.init.constant_(module.layer.bias, architecture.gate_bias or 0.0)
    if name == "zero_gamma":
        _zero_last_norms(network)
    if name == "fixup":
        _apply_fixup(network)


def _draw_he(layer: Weighted) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    else:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _draw_xavier(layer: Weighted) -> None:
    nn.init.xavier_normal_(layer.weight)


def _draw_identity(layer: Weighted) -> None:
    _draw_he(layer)
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    weight = layer.weight.detach()
    per_group, inputs = weight.shape[0] // groups, weight.shape[1]
    taps = weight.view(*weight.shape[:2], -1)
    centre = taps.shape[2] // 2
    # only as many outputs as a group has inputs can copy one; the others keep their draw, and stay alive
    copied = torch.arange(min(per_group, inputs))
    for start in range(0, weight.shape[0], per_group):
        taps[start : start + len(copied)] = 0.0
        taps[start + copied, copied, centre] = 1.0


_DRAWS: Mapping[str, Callable[[Weighted], None]] = {"xavier": _draw_xavier, "identity": _draw_identity}


def _draw_normal(layer: Weighted, std: float) -> None:
    nn.init.normal_(layer.weight, std=std)


def _not_copied(network: nn.Module) -> set[nn.Module]:
    weighted = [module for module in network.modules() if isinstance(module, Weighted)]
    return {weighted[-1]} | {module.layer for module in network.modules() if isinstance(module, Gate)}


def _branches(network: nn.Module) -> list[nn.Module]:
    branches = (getattr(module, "branch", None) for module in network.modules())
    return [branch for branch in branches if isinstance(branch, nn.Module)]


def _zero_last_norms(network: nn.Module) -> None:
    for branch in _branches(network):
        norms = [module for module in branch.modules() if isinstance(module, Norm)]
        # a plugin's branch may have none
        for norm in norms[-1:]:
            nn.init.zeros_(norm.weight)


@torch.no_grad()
def _apply_fixup(network: nn.Module) -> None:
    branches = _branches(network)
    for branch in branches:
        *inner, last = [module for module in branch.modules() if isinstance(module, Weighted)]
        # a branch of m layers: each but the last times L^(-1 / (2m - 2)), the last 0
        for layer in inner:
            layer.weight.mul_(len(branches) ** (-1 / (2 * len(inner))))
        nn.init.zeros_(last.weight)
    head = [module for module in network.modules() if isinstance(module, Weighted)][-1]
    nn.init.zeros_(head.weight)
