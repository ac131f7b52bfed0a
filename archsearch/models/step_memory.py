"""The memory of a training step, part by part, traced without allocating or computing anything.

Parts of equal dimensions take the same, whatever network they stand in, so each is traced once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from archsearch.architecture import Architecture, normal_form
from archsearch.architecture.definitions import BLOCKS
from archsearch.models.network import PartKey, Parts
from archsearch.models.saved import bytes_of, storage_of, watch_saved


@dataclass(frozen=True)
class Arithmetic:
    """What the memory of a step depends on, besides the network.

    Attributes:
        images: Of a batch.
        precision: ``32``, or ``bf16`` for autocast.
        device: Whose kernels compute; they save different things.
        recomputing: Whether blocks keep their input alone and are computed again in the backward pass.
    """

    images: int
    precision: Literal["32", "bf16"] = "32"
    device: Literal["cpu", "cuda"] = "cpu"
    recomputing: bool = False


@dataclass(frozen=True)
class PartMemory:
    """Bytes that one part takes in a step.

    Attributes:
        parameter_bytes: Of its trainable parameters.
        buffer_bytes: Of its buffers, such as running statistics.
        kept_bytes: What is kept for it from its forward to its backward pass. A tensor between two parts
            counts for the earlier one.
        passing_bytes: What it takes besides, while its backward pass runs: gradients of its tensors, and what
            it keeps when it is computed again.
        largest_bytes: Of its largest tensor.
    """

    parameter_bytes: int
    buffer_bytes: int
    kept_bytes: int
    passing_bytes: int
    largest_bytes: int


def trace_step(
    architecture: Architecture, input_shape: tuple[int, ...], classes: int, arithmetic: Arithmetic
) -> tuple[PartMemory, ...]:
    """Trace a step of training: the memory of each part, from the stem to the head with its loss.

    Raises:
        ArchitectureError: The input does not fit the layout.
    """
    return _trace_step(normal_form(architecture), tuple(input_shape), classes, arithmetic)


@dataclass(frozen=True)
class _Trace:
    """What one part saves; its input and output, which it shares with its neighbours, apart."""

    parameter_bytes: int
    buffer_bytes: int
    inner_bytes: int
    largest_bytes: int
    input_bytes: int
    output_bytes: int
    saves_input: bool
    saves_output: bool
    output_shape: tuple[int, ...]
    output_dtype: torch.dtype


_TRACES: dict[object, _Trace] = {}


@lru_cache(maxsize=4096)
def _trace_step(
    architecture: Architecture, input_shape: tuple[int, ...], classes: int, arithmetic: Arithmetic
) -> tuple[PartMemory, ...]:
    # the same for all networks that differ in their dimensions alone, which stand in the parts' keys
    style = replace(
        architecture,
        depth=0,
        blocks=(),
        width=0,
        stem_width=None,
        cardinality=None,
        group_width=None,
        compression=None,
    )
    concatenates = BLOCKS[architecture.block].join == "concatenate"
    keys: list[PartKey] = []
    traces: list[_Trace] = []
    shape, dtype = input_shape, torch.float32
    for key, build in Parts.of(architecture, input_shape, classes).in_order():
        known = (style, key, shape, dtype, arithmetic, not keys)
        if known not in _TRACES:
            _TRACES[known] = _trace_part(key, build, shape, dtype, arithmetic, is_first=not keys)
        keys.append(key)
        traces.append(_TRACES[known])
        shape, dtype = traces[-1].output_shape, traces[-1].output_dtype
    again = [arithmetic.recomputing and kind in ("block", "after") for kind, _ in keys]
    memories = []
    for index, trace in enumerate(traces):
        kept, passing = trace.inner_bytes, trace.output_bytes + 2 * trace.largest_bytes
        if again[index]:
            kept, passing = 0, passing + trace.inner_bytes
        if index == 0 and (trace.saves_input or again[0]):
            kept += trace.input_bytes
        if index + 1 < len(traces):
            grows = concatenates and keys[index][0] == "block"
            if again[index + 1]:
                # what is concatenated is kept in pieces, of which each block adds one
                kept += trace.output_bytes - (trace.input_bytes if grows else 0)
            elif traces[index + 1].saves_input or (trace.saves_output and not again[index]):
                kept += trace.output_bytes
        memories.append(
            PartMemory(trace.parameter_bytes, trace.buffer_bytes, kept, passing, trace.largest_bytes)
        )
    return tuple(memories)


def _trace_part(
    key: PartKey,
    build: Callable[[], nn.Module],
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    arithmetic: Arithmetic,
    *,
    is_first: bool,
) -> _Trace:
    images, mixed = arithmetic.images, arithmetic.precision == "bf16"
    # autocast knows real devices alone; where it is not needed, tensors of none are traced in half the time
    pretending: AbstractContextManager[object] = FakeTensorMode() if mixed else nullcontext()
    autocast = torch.autocast(arithmetic.device, torch.bfloat16, enabled=mixed)
    device = arithmetic.device if mixed else "meta"
    # the caller may have switched gradients off
    with torch.inference_mode(False), torch.enable_grad(), pretending, torch.device(device):
        part = build().train()
        # inside the network the input has a history, and so its gradient is needed
        x = torch.empty((images, *input_shape), dtype=dtype, requires_grad=not is_first).clone()
        with watch_saved() as saved:
            with autocast:
                y: Tensor = part(x)
            if key[0] == "head":
                y = F.cross_entropy(y.float(), torch.zeros(images, dtype=torch.long))
        owned = {storage_of(state) for state in (*part.parameters(), *part.buffers())}
        sizes = {key: bytes_of(tensor) for key, tensor in saved.items() if key not in owned}
        ends = {storage_of(x), storage_of(y)}
        return _Trace(
            parameter_bytes=sum(bytes_of(p) for p in part.parameters() if p.requires_grad),
            buffer_bytes=sum(bytes_of(buffer) for buffer in part.buffers()),
            inner_bytes=sum(size for storage, size in sizes.items() if storage not in ends),
            largest_bytes=max([bytes_of(x), bytes_of(y), *sizes.values()]),
            input_bytes=bytes_of(x),
            output_bytes=bytes_of(y),
            saves_input=storage_of(x) in saved,
            saves_output=storage_of(y) in saved,
            output_shape=tuple(y.shape[1:]),
            output_dtype=y.dtype,
        )
