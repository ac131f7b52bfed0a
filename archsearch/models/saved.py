"""The tensors that autograd saves in a forward pass for the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


@contextmanager
def watch_saved() -> Iterator[dict[int, Tensor]]:
    """Collect the tensors that are saved meanwhile, by their storage."""
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[storage_of(tensor)] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        yield saved


def storage_of(tensor: Tensor) -> int:
    """Identify a tensor's memory, which its views share."""
    return int(tensor.untyped_storage()._cdata)


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of the memory that a tensor is, or is a view of."""
    return int(tensor.untyped_storage().nbytes())
