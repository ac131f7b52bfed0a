"""A trained network extended by blocks that copy their input: what a deeper one should reach at least.

He et al. 2015 (1512.03385), section 1: a deeper network made of a shallower trained one and identity layers
has the shallow one's error, so a deep network that trains to a larger training error was not optimised well.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.architecture import Architecture
from archsearch.errors import ArchitectureError
from archsearch.models.initialization import Norm, Weighted
from archsearch.models.joins import Add, GatedJoin
from archsearch.models.network import Network, build_network

_TOLERANCE = 1e-4
# sigmoid(-40) is 4e-18: nothing of the branch passes
_CLOSED = -40.0


@torch.no_grad()
def deepen(shallow: Network, architecture: Architecture, images: Tensor, classes: int) -> Network:
    """Build a deeper network that computes what a trained shallow one computes.

    In each stage the shallow network's blocks come first and blocks that copy their input follow. It holds
    in evaluation mode; what is trained on from there is another matter.

    Args:
        shallow: Trained; in evaluation mode.
        architecture: Of the deeper network; it differs from the shallow one's in depth alone.
        images: A batch, normalised, on which the two are compared.
        classes: Number of logits.

    Raises:
        ArchitectureError: The shallow network's blocks are no part of the deeper one, or its kind of block
            cannot copy its input (dense; a shortcut that alters what it carries; an activation other than
            relu after the join; a norm of each image's own statistics in a plain block).
    """
    with torch.random.fork_rng(devices=[]):
        deep: Any = build_network(architecture, tuple(images.shape[1:]), classes)
    deep.eval()
    _copy(shallow.stem, deep.stem)
    _copy(shallow.head, deep.head)
    own: Any = shallow.stages
    for known, stage in zip(own, deep.stages, strict=True):
        blocks = [module for module in stage if hasattr(module, "join")]
        trained = [module for module in known if hasattr(module, "join")]
        if len(trained) > len(blocks):
            raise _not_deeper(architecture)
        for module, block in zip(trained, blocks, strict=False):
            _copy(module, block)
        for block in blocks[len(trained) :]:
            _make_identity(block)
    expected, found = shallow(images), deep(images)
    if not torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE * float(expected.abs().max())):
        raise ArchitectureError(
            "must have blocks that can copy their input",
            path="architecture",
            got=architecture.name,
            fix="With relu, plain blocks can with batch norm or none, others with shortcut: pad.",
        )
    network: Network = deep
    return network


def _copy(trained: nn.Module, new: nn.Module) -> None:
    try:
        new.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise ArchitectureError(
            "must differ from the shallow network in depth alone", path="architecture", got=str(error)
        ) from error


def _make_identity(block: Any) -> None:
    if isinstance(block.join, GatedJoin):
        gate: Any = block.join.gate.layer
        nn.init.zeros_(gate.weight)
        nn.init.constant_(gate.bias, _CLOSED)
    elif isinstance(block.join, Add):
        _silence(block.branch)
    else:
        _make_copying(block.branch)


def _silence(branch: nn.Module) -> None:
    """Let a branch give zeros: its last norm, or without one its last weighted layer."""
    last = [module for module in branch.modules() if isinstance(module, Norm | Weighted)][-1]
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


def _make_copying(branch: nn.Module) -> None:
    """Let each layer of a branch give what it gets, as far as that is not negative."""
    for module in branch.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight, module.groups)
        elif isinstance(module, nn.Linear) and module.in_features == module.out_features:
            nn.init.eye_(module.weight)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            # its running statistics are still those of the standard normal
            nn.init.constant_(module.weight, math.sqrt(1 + module.eps))
        if isinstance(module, Weighted | Norm) and module.bias is not None:
            nn.init.zeros_(module.bias)


def _not_deeper(architecture: Architecture) -> ArchitectureError:
    return ArchitectureError(
        "must have at least the shallow network's blocks in each stage",
        path="architecture.blocks",
        got=architecture.blocks,
    )
