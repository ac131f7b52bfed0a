"""What a network costs: parameters, MACs and activation memory, counted without allocating weights.

Parts of equal dimensions cost the same, so each distinct part is built and run once, on the meta device:
ResNet-1202 has 600 blocks of which five are distinct, and another depth has the same five.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archsearch.architecture import Architecture, normal_form
from archsearch.models.network import PartKey, Parts
from archsearch.models.saved import bytes_of, storage_of, watch_saved

# batch norm refuses a single image whose resolution is down to one pixel
_IMAGES = 2
# Some MiB; a study of a thousand widths has about so many parts.
_MOST_REMEMBERED = 10_000


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


# A part depends on its network's depth through its own key and input alone.
_counted: dict[tuple[Architecture, PartKey, tuple[int, ...]], _PartCost] = {}


@lru_cache(maxsize=4096)
def _count(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> Cost:
    parts = Parts.of(architecture, input_shape, classes)
    layers = replace(parts.architecture, depth=0, blocks=())
    if len(_counted) > _MOST_REMEMBERED:
        _counted.clear()
    shape = input_shape
    parameters = macs = 0
    input_bytes = 4 * torch.Size(shape).numel()
    kept_bytes, pending_bytes, already_kept = 0.0, float(input_bytes), False
    for key, build in parts.in_order():
        known = _counted.get((layers, key, shape))
        part = known or _count_part(build, shape, is_first=key[0] == "stem")
        _counted[layers, key, shape] = part
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
    with _OperationCounter() as counter, watch_saved() as kept:
        y = part(x)
    owned = {storage_of(state) for state in (*part.parameters(), *part.buffers())}
    boundary = {storage_of(x), storage_of(y)}
    inner = [saved for key, saved in kept.items() if key not in owned | boundary]
    return _PartCost(
        parameters=sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad),
        macs=counter.operations // 2 // _IMAGES,
        inner_bytes=sum(bytes_of(saved) for saved in inner) / _IMAGES,
        keeps_input=storage_of(x) in kept,
        keeps_output=storage_of(y) in kept,
        output_shape=tuple(y.shape[1:]),
    )


class _OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations by torch's own formulas, 2 a multiply-accumulate.

    Torch's `FlopCounterMode` comes to the same but takes several times as long, for it decomposes what it has
    no formula for.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.native_batch_norm.default:
            # What it gives, by its shapes; torch derives them through 20 further operations in Python.
            channels = args[0].shape[1]
            return torch.empty_like(args[0]), args[0].new_empty(channels), args[0].new_empty(channels)
        found = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.operations += formula(*args, **(kwargs or {}), out_val=found)
        return found
