"""The layers of a packed network that are not just wider ones of the same kind.

Each takes and gives the K networks' channels side by side, and does for each network what its namesake does
alone. Parameters are given to a layer by `pack_networks`, under the names they have in its namesake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.models.joins import Concatenate
from archsearch.models.memory_format import is_channels_last, subsample


@dataclass(frozen=True)
class Place:
    """What packed layers share.

    Attributes:
        count: K, the number of networks.
        generators: One of random numbers for each network, on its device.
    """

    count: int
    generators: tuple[torch.Generator, ...]

    def split(self, x: Tensor) -> Tensor:
        """View ``[N, K*C, ...]`` as ``[N, K, C, ...]``."""
        return x.view(x.shape[0], self.count, -1, *x.shape[2:])

    def treat_each(self, treat: Callable[[list[Tensor], int], Tensor], *pieces: Tensor) -> Tensor:
        """Treat each network's channels for themselves, in the memory format in which they lie.

        Args:
            treat: Is given the pieces, apart by network, and the dimension of the channels.
            pieces: ``[N, K*C, ...]``.
        """
        if is_channels_last(pieces[0]):
            last = [piece.movedim(1, 3) for piece in pieces]
            return treat([x.view(*x.shape[:3], self.count, -1) for x in last], 4).flatten(3).movedim(3, 1)
        return treat([self.split(piece) for piece in pieces], 2).flatten(1, 2)

    def per_network(self, parameter: Tensor, like: Tensor) -> Tensor:
        """View one scalar a network so that it broadcasts over a split tensor."""
        return parameter.view(self.count, *(1,) * (like.ndim - 2))


class PackedLinear(nn.Module):
    """A matrix product for each network, in one batch."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        for name in ("weight", "bias"):
            self.register_parameter(name, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, K*outputs]`` of ``[N, K*inputs]``."""
        inputs = self.place.split(x).transpose(0, 1)
        weight = self.weight.view(self.place.count, -1, self.weight.shape[1]).transpose(1, 2)
        if self.bias is None:
            outputs = torch.bmm(inputs, weight)
        else:
            outputs = torch.baddbmm(self.bias.view(self.place.count, 1, -1), inputs, weight)
        return outputs.transpose(0, 1).flatten(1)


class PackedLayerNorm(nn.Module):
    """Layer norm of flat inputs within each network."""

    weight: Tensor
    bias: Tensor

    def __init__(self, normalized_shape: Sequence[int], eps: float, place: Place) -> None:
        super().__init__()
        self.normalized_shape = tuple(normalized_shape)
        self.eps = eps
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[N, K*F]`` over F."""
        split = functional.layer_norm(self.place.split(x), self.normalized_shape, eps=self.eps)
        return split.flatten(1) * self.weight + self.bias


class PackedBias(nn.Module):
    """A scalar a network that is added (fixup)."""

    bias: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Add to each network's channels its scalar."""
        split = self.place.split(x)
        return (split + self.place.per_network(self.bias, split)).flatten(1, 2)


class PackedScale(nn.Module):
    """A scalar factor a network (fixup)."""

    scale: Tensor

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each network's channels by its scalar."""
        split = self.place.split(x)
        return (split * self.place.per_network(self.scale, split)).flatten(1, 2)


class PackedDropPath(nn.Module):
    """Stochastic depth: each network drops the branches of its own images."""

    def __init__(self, keep_frac: float, place: Place) -> None:
        super().__init__()
        self.keep_frac = keep_frac
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches, zero for the dropped images."""
        if not self.training:
            return x
        split = self.place.split(x)
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = [
            torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(self.keep_frac, generator=own)
            for own in self.place.generators
        ]
        return (split * torch.stack(kept, 1).div_(self.keep_frac)).flatten(1, 2)


class PackedDropout(nn.Module):
    """Dropout with each network's own random numbers, as torch draws them on a CPU."""

    def __init__(self, probability: float, place: Place) -> None:
        super().__init__()
        self.probability = probability
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, some values of it zero in training."""
        if not self.training or self.probability == 0:
            return x
        keep_frac = 1 - self.probability
        shape = (x.shape[0], x.shape[1] // self.place.count, *x.shape[2:])
        # alone, the draws follow the values as they lie in memory
        last = x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if last else torch.contiguous_format
        kept = [
            torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).bernoulli_(
                keep_frac, generator=own
            )
            for own in self.place.generators
        ]
        return x * torch.cat(kept, 1).div_(keep_frac)


class PackedConcatenate(Concatenate):
    """[x, F(x)] within each network."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def gather(self, *pieces: Tensor) -> Tensor:
        """Concatenate each network's own."""
        return self.place.treat_each(torch.cat, *pieces)


class PackedZeroPadding(nn.Module):
    """Subsampling, and zeros as further channels of each network."""

    def __init__(self, stride: int, added_channels: int, place: Place) -> None:
        super().__init__()
        self.stride = stride
        self.added_channels = added_channels
        self.place = place

    def forward(self, raw: Tensor, _entered: Tensor) -> Tensor:
        """Return the raw input, subsampled and padded."""
        return self.place.treat_each(self._pad, subsample(raw, self.stride))

    def _pad(self, pieces: list[Tensor], channels: int) -> Tensor:
        (piece,) = pieces
        behind = (0, 0) * (piece.ndim - 1 - channels)
        return functional.pad(piece, (*behind, 0, self.added_channels))
