"""The layers that an architecture asks for: weighted layers, norms, activations, gates, and their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.architecture import Architecture
from archsearch.architecture.normal_form import norm_groups
from archsearch.models.memory_format import is_channels_last, subsample

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


# The widest vector of float32 that oneDNN computes with.
_WIDEST_VECTOR = 16


class Convolution(nn.Conv2d):
    """A convolution whose weights are drawn once, by `initialize`, and not a first time when it is made.

    On a CPU, a strided 1x1 convolution of few channels that lie side by side takes its pixels first: of one
    that strides oneDNN writes the gradient past a buffer, which gives wrong numbers or ends the process
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """

    def reset_parameters(self) -> None:
        """Leave the weights as allocated."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self._breaks_onednn and input.device.type == "cpu" and is_channels_last(input):
            return functional.conv2d(subsample(input, self.stride[0]), weight, bias)
        result: Tensor = super()._conv_forward(input, weight, bias)
        return result

    @property
    def _breaks_onednn(self) -> bool:
        strided = self.kernel_size == (1, 1) and self.stride[0] == self.stride[1] > 1
        return strided and self.groups == 1 and self.in_channels < _WIDEST_VECTOR


class Linear(nn.Linear):
    """A linear layer whose weights are drawn once, by `initialize`, and not a first time when it is made."""

    def reset_parameters(self) -> None:
        """Leave the weights as allocated."""


class Gate(nn.Module):
    """How much passes, between 0 and 1 for each value: the sigmoid of a 1x1 convolution or linear layer."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate's opening for the input."""
        return torch.sigmoid(self.layer(x))


class Bias(nn.Module):
    """A learned scalar that is added (fixup)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add the scalar."""
        return x + self.bias


class Scale(nn.Module):
    """A learned scalar factor (fixup)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the scalar."""
        return x * self.scale


@dataclass(frozen=True)
class Layers:
    """Makes layers for one architecture; handed to the branch and shortcut classes."""

    architecture: Architecture

    @property
    def flat(self) -> bool:
        """Whether inputs are vectors (mlp) and not images."""
        return self.architecture.layout == "mlp"

    @property
    def preactivation(self) -> bool:
        """Whether norm and activation come before a weighted layer."""
        return bool(self.architecture.preactivation)

    @property
    def fixup(self) -> bool:
        """Whether scalar biases and factors take the place of norms (Zhang et al. 2019, 1901.09321)."""
        return self.architecture.initialization == "fixup"

    @property
    def stride_in_first(self) -> bool:
        """Whether a strided bottleneck strides in its first 1x1 convolution."""
        # the published MACs of ResNet-164 and ResNeXt-29 are those of a strided 3x3, so cifar has no choice
        return self.architecture.stride_in == "1x1"

    def weighted(
        self, in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
    ) -> nn.Conv2d | nn.Linear:
        """Make a convolution that keeps the resolution up to its stride; in an mlp a linear layer."""
        if self.flat:
            return Linear(in_channels, out_channels)
        biased = self.architecture.layout == "vgg"
        return Convolution(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=biased
        )

    def norm(self, channels: int) -> list[nn.Module]:
        """Make the norm, as a list that is empty where there is none."""
        name = self.architecture.norm
        if name == "batch":
            return [nn.BatchNorm1d(channels) if self.flat else nn.BatchNorm2d(channels)]
        if name == "group":
            return [nn.GroupNorm(norm_groups(channels), channels)]
        if name == "layer":
            return [nn.LayerNorm(channels) if self.flat else nn.GroupNorm(1, channels)]
        return []

    def activation(self, *, overwrite: bool = False) -> nn.Module:
        """Make the activation; `overwrite` where nothing else reads its input, which saves memory."""
        name = self.architecture.activation
        return nn.ReLU(inplace=overwrite) if name == "relu" else _ACTIVATIONS[name]()

    def normed_activation(self, channels: int) -> list[nn.Module]:
        """Make norm and activation, as they precede a weighted layer under pre-activation."""
        norm = self.norm(channels)
        # without a norm the activation's input is what the shortcut reads, too
        return [*norm, self.activation(overwrite=bool(norm))]

    def gate(self, in_channels: int, out_channels: int, *, stride: int = 1) -> Gate:
        """Make a gate; its bias begins at ``gate_bias``."""
        if self.flat:
            return Gate(Linear(in_channels, out_channels))
        return Gate(Convolution(in_channels, out_channels, 1, stride))

    def entry(self, channels: int) -> list[nn.Module]:
        """Make what a block's input passes before its branch: nothing in the original order."""
        if self.fixup:
            return [Bias()]
        return self.normed_activation(channels) if self.preactivation else []

    def arrange(self, *weighted: nn.Conv2d | nn.Linear) -> list[nn.Module]:
        """Put norms and activations between a branch's weighted layers, as the architecture orders them.

        The first layer's pre-activation is the block's entry, and the last activation of the original order
        follows the join; neither is made here.
        """
        arranged: list[nn.Module] = []
        for layer in weighted[:-1]:
            arranged += [layer, *self._between(layer)]
        arranged.append(weighted[-1])
        if self.fixup:
            arranged += [Scale(), Bias()]
        elif not self.preactivation:
            arranged += self.norm(channels_out(weighted[-1]))
        return arranged

    def _between(self, layer: nn.Conv2d | nn.Linear) -> list[nn.Module]:
        if self.fixup:
            return [Bias(), self.activation(overwrite=True), Bias()]
        return [*self.norm(channels_out(layer)), self.activation(overwrite=True)]


def channels_out(layer: nn.Conv2d | nn.Linear) -> int:
    """Channels or units that a weighted layer gives out."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
