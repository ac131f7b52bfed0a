"""K networks of one architecture as one network, which computes what each of them would alone.

A packed network has the modules and the names of a single one. Its tensors hold those of the K networks one
after the other along the first dimension, and its activations along the channels: ``[N, K*C, H, W]`` or
``[N, K*F]``. So whatever treats each value or each channel alone works as it is; what mixes, joins or splits
channels is replaced by what does so within each network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import PackingError
from archsearch.models import blocks, joins, layers, network, packed_layers, shortcuts, stages
from archsearch.models.packed_layers import Place


class PackedNetwork(nn.Module):
    """K networks as one.

    Attributes:
        network: The packed network: modules named as in a single one, tensors K times as long.
        place: How many networks there are, and the random numbers of each.
    """

    def __init__(self, network: nn.Module, place: Place) -> None:
        super().__init__()
        self.network = network
        self.place = place

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``[N, K, classes]`` of images ``[N, K*C, H, W]`` or ``[N, K*F]``."""
        logits: Tensor = self.network(images)
        return self.place.split(logits)

    def seed(self, seeds: Sequence[int]) -> None:
        """Let dropout and drop_path of each network draw as after ``torch.manual_seed`` of its seed."""
        for generator, seed in zip(self.place.generators, seeds, strict=True):
            generator.manual_seed(seed)

    def share(self, networks: Sequence[nn.Module]) -> None:
        """Make the tensors of each network windows on the packed ones, so that they are trained along."""
        names = dict(self.network.named_parameters())
        buffers = dict(self.network.named_buffers())
        for index, single in enumerate(networks):
            for name, parameter in single.named_parameters():
                parameter.data = names[name].data.chunk(self.place.count)[index]
            for owner, name, full_name in _buffers(single):
                whole = buffers[full_name]
                setattr(owner, name, whole.chunk(self.place.count)[index] if whole.ndim else whole)


def pack_networks(networks: Sequence[nn.Module]) -> PackedNetwork:
    """Pack networks of equal structure, on one device, each with its own weights; they are left as they are.

    Raises:
        PackingError: Some part is not known to work alike when packed, such as a plugin's own layer.
    """
    first = networks[0]
    device = next(first.parameters()).device
    place = Place(len(networks), tuple(torch.Generator(device) for _ in networks))
    packed = _convert(first, place, "network")
    singles = [single.state_dict(keep_vars=True) for single in networks]
    for owner, name, full_name in [*_parameters(first), *_buffers(first)]:
        tensors = [single[full_name].detach() for single in singles]
        # a scalar counts steps, which are the same for all
        together = torch.cat(tensors) if tensors[0].ndim else tensors[0].clone()
        target = packed.get_submodule(full_name.rpartition(".")[0])
        if isinstance(getattr(owner, name), nn.Parameter):
            target.register_parameter(name, nn.Parameter(together))
        else:
            target.register_buffer(name, together)
    # the state of optimizers goes by this order
    assert [name for name, _ in packed.named_parameters()] == [name for name, _ in first.named_parameters()]
    return PackedNetwork(packed, place)


def _parameters(module: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Every parameter: its module, its name there, its full name."""
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            full_name = f"{prefix}.{name}".removeprefix(".")
            if not parameter.ndim:
                raise PackingError(f"{full_name} is a parameter without dimensions")
            yield owner, name, full_name


def _buffers(module: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    for prefix, owner in module.named_modules():
        for name, _ in owner.named_buffers(recurse=False):
            yield owner, name, f"{prefix}.{name}".removeprefix(".")


def _convert(module: nn.Module, place: Place, name: str) -> nn.Module:
    """Convert a module, without its tensors.

    It is known by its class's `forward`, so a plugin's subclass that only arranges known parts is known, and
    one that computes something of its own is not.
    """
    if _has_hooks(module):
        raise PackingError(f"{name} has hooks, which would see {place.count} networks at once")
    forward = type(module).forward
    children = list(module.named_children())
    if not children and forward in _CONVERSIONS:
        return _CONVERSIONS[forward](module, place)
    if forward not in _ARRANGEMENTS and (children or forward not in _VALUE_BY_VALUE):
        raise PackingError(f"{name} is a {type(module).__name__}, which is not known to work packed")
    converted: nn.Module = _bare_copy(module)
    for child_name, child in children:
        converted.add_module(child_name, _convert(child, place, f"{name}.{child_name}"))
    return converted


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for kind in kinds)


def _bare_copy(module: nn.Module) -> Any:
    """Copy a module's settings; children and tensors are given to the copy afterwards."""
    bare = copy.copy(module)
    for kind in ("_modules", "_parameters", "_buffers"):
        setattr(bare, kind, {})
    return bare


def _widen_convolution(module: nn.Conv2d, place: Place) -> Any:
    wide = _bare_copy(module)
    wide.groups *= place.count
    wide.in_channels *= place.count
    wide.out_channels *= place.count
    for name in ("weight", "bias"):
        wide.register_parameter(name, None)
    return wide


def _widen_batch_norm(module: nn.BatchNorm2d, place: Place) -> Any:
    wide = _bare_copy(module)
    wide.num_features *= place.count
    for name in ("weight", "bias"):
        wide.register_parameter(name, None)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        wide.register_buffer(name, None)
    return wide


def _widen_group_norm(module: nn.GroupNorm, place: Place) -> Any:
    wide = _bare_copy(module)
    wide.num_groups *= place.count
    wide.num_channels *= place.count
    for name in ("weight", "bias"):
        wide.register_parameter(name, None)
    return wide


def _copy_flatten(module: nn.Flatten, _place: Place) -> Any:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise PackingError("a Flatten of other dimensions than the image's would mix networks")
    return _bare_copy(module)


def _replace_dropout(module: nn.Dropout, place: Place) -> nn.Module:
    # elsewhere dropout is one kernel, whose random numbers cannot be drawn in another way
    if place.generators[0].device.type != "cpu":
        raise PackingError("dropout draws other random numbers packed than alone on this device")
    return packed_layers.PackedDropout(module.p, place)


_CONVERSIONS: dict[Any, Callable[[Any, Place], nn.Module]] = {
    nn.Conv2d.forward: _widen_convolution,
    nn.BatchNorm2d.forward: _widen_batch_norm,
    nn.GroupNorm.forward: _widen_group_norm,
    nn.LayerNorm.forward: lambda module, place: packed_layers.PackedLayerNorm(
        module.normalized_shape, module.eps, place
    ),
    nn.Linear.forward: lambda _, place: packed_layers.PackedLinear(place),
    nn.Flatten.forward: _copy_flatten,
    nn.Dropout.forward: _replace_dropout,
    layers.Bias.forward: lambda _, place: packed_layers.PackedBias(place),
    layers.Scale.forward: lambda _, place: packed_layers.PackedScale(place),
    blocks.DropPath.forward: lambda module, place: packed_layers.PackedDropPath(module.keep_frac, place),
    joins.Concatenate.forward: lambda _, place: packed_layers.PackedConcatenate(place),
    shortcuts.ZeroPadding.forward: lambda module, place: packed_layers.PackedZeroPadding(
        module.stride, module.added_channels, place
    ),
}

_VALUE_BY_VALUE = {
    kind.forward
    for kind in (
        *(nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Identity),
        *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, network.GlobalAverage),
    )
}

# These hand tensors to their parts and combine them value by value.
_ARRANGEMENTS = {
    kind.forward
    for kind in (
        *(nn.Sequential, network.Network, stages.Stage, layers.Gate),
        *(blocks.Block, blocks.OpenBlock, blocks.PreactivatedBlock, blocks.FixupBlock),
        *(joins.NoJoin, joins.Add, joins.GatedJoin),
        *(shortcuts.Identity, shortcuts.Projected, shortcuts.Scaled, shortcuts.Gated, shortcuts.DroppedOut),
    )
}
