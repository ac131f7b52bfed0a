"""What a network costs: parameters, MACs and activation memory, counted without allocating weights.

Parts of equal dimensions cost the same, so each distinct part is built and run once, on the meta device:
ResNet-1202 has 600 blocks of which five are distinct.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.architecture import Architecture, normal_form
from archsearch.models.network import Parts
from archsearch.models.saved import bytes_of, storage_of, watch_saved

# batch norm refuses a single image whose resolution is down to one pixel
_IMAGES = 2


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        parameters: Every trainable scalar.
        macs: Multiply-accumulates of convolutions and linear layers in the forward pass of one image.
        activation_mib: What autograd keeps of one image's forward pass in training, in 32 bits, MiB; without
            parameters and running statistics.
    """

    parameters: int
    macs: int
    activation_mib: float


def count_cost(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> Cost:
    """Count a network's parameters, MACs and activation memory.

    Raises:
        ArchitectureError: The input does not fit the layout.
    """
    return _count(normal_form(architecture), tuple(input_shape), classes)


@dataclass(frozen=True)
class _PartCost:
    """A part's share; bytes without its input and output, of which it is said whether autograd keeps them."""

    parameters: int
    macs: int
    inner_bytes: float
    keeps_input: bool
    keeps_output: bool
    output_shape: tuple[int, ...]

    @property
    def output_bytes(self) -> float:
        return 4 * torch.Size(self.output_shape).numel()


@lru_cache(maxsize=4096)
def _count(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> Cost:
    parts = Parts.of(architecture, input_shape, classes)
    counted: dict[object, _PartCost] = {}
    shape = input_shape
    parameters = macs = 0
    input_bytes = 4 * torch.Size(shape).numel()
    kept_bytes, pending_bytes, already_kept = 0.0, float(input_bytes), False
    for key, build in parts.in_order():
        if (key, shape) not in counted:
            counted[key, shape] = _count_part(build, shape, is_first=key[0] == "stem")
        part = counted[key, shape]
        parameters += part.parameters
        macs += part.macs
        # what lies between two parts is kept once, whichever of them needs it
        kept_bytes += part.inner_bytes + (pending_bytes if already_kept or part.keeps_input else 0)
        pending_bytes, already_kept, shape = part.output_bytes, part.keeps_output, part.output_shape
    return Cost(parameters, macs, kept_bytes / 2**20)


def _count_part(build: Callable[[], nn.Module], input_shape: tuple[int, ...], *, is_first: bool) -> _PartCost:
    # the caller may have switched gradients off
    with torch.inference_mode(False), torch.enable_grad(), torch.device("meta"):
        return _measure_part(build().train(), input_shape, is_first=is_first)


def _measure_part(part: nn.Module, input_shape: tuple[int, ...], *, is_first: bool) -> _PartCost:
    # inside the network the input has a history, and so its gradient is needed
    x = torch.empty((_IMAGES, *input_shape), requires_grad=not is_first).clone()
    with FlopCounterMode(display=False) as counter, watch_saved() as kept:
        y = part(x)
    owned = {storage_of(state) for state in (*part.parameters(), *part.buffers())}
    boundary = {storage_of(x), storage_of(y)}
    inner = [saved for key, saved in kept.items() if key not in owned | boundary]
    return _PartCost(
        parameters=sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad),
        macs=counter.get_total_flops() // 2 // _IMAGES,
        inner_bytes=sum(bytes_of(saved) for saved in inner) / _IMAGES,
        keeps_input=storage_of(x) in kept,
        keeps_output=storage_of(y) in kept,
        output_shape=tuple(y.shape[1:]),
    )
