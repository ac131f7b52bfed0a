"""Architecture -> network: stem, stages of blocks, head."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from archsearch.architecture import Architecture, BlockPlan, NetworkPlan, normal_form, plan_network
from archsearch.architecture.definitions import BLOCKS
from archsearch.errors import ArchitectureError
from archsearch.models.blocks import build_block
from archsearch.models.initialization import initialize
from archsearch.models.layers import Bias, Layers, Linear
from archsearch.models.memory_format import take_mean
from archsearch.models.stages import Stage

_HIDDEN_UNITS = 4096

PartKey = tuple[str, BlockPlan | int | None]
"""``stem``, ``block``, ``after`` (a stage) or ``head``, and what two of that kind may differ in."""


class Network(nn.Module):
    """A network: ``stem``, ``stages`` (each a sequence of blocks) and ``head``, one after the other."""

    def __init__(self, stem: nn.Module, stages: nn.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = stages
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, one row an image."""
        logits: Tensor = self.head(self.stages(self.stem(x)))
        return logits

    def _repr_html_(self) -> str:
        """The network as a notebook shows it, a row a part; printing it shows every layer."""
        stages = {f"stage {number}": stage for number, stage in enumerate(self.stages.children(), 1)}
        parts = {"stem": self.stem, **stages, "head": self.head, "network": self}
        rows = "".join(
            f"<tr><th>{name}</th><td>{_say_kinds(part)}</td><td>{_count_parameters(part):,}</td></tr>"
            for name, part in parts.items()
        )
        return f"<table><tr><th></th><th>modules</th><th>parameters</th></tr>{rows}</table>"


class GlobalAverage(nn.Module):
    """The mean over all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return one number a channel."""
        return take_mean(x)


def build_network(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build a network, initialised from torch's global random numbers.

    It is built from the normal form, so that architectures of one id give the same names and shapes.

    Args:
        architecture: What to build.
        input_shape: (channels, height, width), or (features,) for an mlp.
        classes: Number of logits.

    Raises:
        ArchitectureError: The input does not fit the layout, or a plugin's block cannot be imported.
    """
    parts = Parts.of(architecture, input_shape, classes)
    stages = []
    for index, blocks in enumerate(parts.plan.stages):
        first = sum(map(len, parts.plan.stages[:index]))
        built = [parts.block(plan, first + position) for position, plan in enumerate(blocks)]
        after = [parts.after_stage(index)] if parts.has_after_stage(index) else []
        stages.append(Stage(*built, *after))
    network = Network(parts.stem(), nn.Sequential(*stages), parts.head())
    initialize(network, parts.architecture)
    return network


@dataclass(frozen=True)
class Parts:
    """Builds the parts of one network; `build_network` puts them together, `count_cost` counts each."""

    architecture: Architecture
    plan: NetworkPlan
    input_shape: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> Parts:
        """Check the input and plan the network in its normal form."""
        _check_input(architecture, input_shape, classes)
        normal = normal_form(architecture)
        return cls(normal, plan_network(normal, input_channels=input_shape[0]), tuple(input_shape), classes)

    @property
    def layers(self) -> Layers:
        """The factory of layers."""
        return Layers(self.architecture)

    def in_order(self) -> Iterator[tuple[PartKey, Callable[[], nn.Module]]]:
        """List all parts from input to logits: what each is, which equal parts share, and how it is built."""
        if self.architecture.layout != "vgg":
            yield ("stem", self.plan.stem_channels), self.stem
        for stage, blocks in enumerate(self.plan.stages):
            for plan in blocks:
                # blocks differ in how often they are dropped, not in what they cost
                yield ("block", plan), partial(self.block, plan, self.plan.size - 1)
            if self.has_after_stage(stage):
                kept = self.plan.transitions[stage] if self.plan.transitions else None
                yield ("after", kept), partial(self.after_stage, stage)
        yield ("head", self.classes), self.head

    def stem(self) -> nn.Module:
        """Build what comes before the first stage."""
        layout, channels, layers = self.architecture.layout, self.plan.stem_channels, self.layers
        if layout == "vgg":
            return nn.Sequential()
        if layout == "mlp":
            features = math.prod(self.input_shape)
            return nn.Sequential(nn.Flatten(), layers.weighted(features, channels), *self._after_stem())
        if layout == "imagenet":
            convolution = layers.weighted(self.input_shape[0], channels, 7, stride=2)
            return nn.Sequential(convolution, *self._after_stem(), nn.MaxPool2d(3, 2, padding=1))
        return nn.Sequential(layers.weighted(self.input_shape[0], channels, 3), *self._after_stem())

    def block(self, plan: BlockPlan, index: int) -> nn.Module:
        """Build a block, the `index`-th of the network."""
        # Huang et al. 2016, 1603.09382, equation 4: linear from the input to the last block
        drop_path = (self.architecture.drop_path or 0.0) * (index + 1) / self.plan.size
        return build_block(plan, self.layers, drop_path)

    def has_after_stage(self, stage: int) -> bool:
        """Whether something follows a stage."""
        return self.architecture.layout == "vgg" or stage < len(self.plan.transitions)

    def after_stage(self, stage: int) -> nn.Module:
        """Build what follows a stage: pooling in vgg, the transition in dense."""
        if self.architecture.layout == "vgg":
            return nn.MaxPool2d(2)
        kept, last = self.plan.transitions[stage], self.plan.stages[stage][-1]
        channels = last.in_channels + last.out_channels
        convolution = self.layers.weighted(channels, kept)
        return nn.Sequential(*self.layers.normed_activation(channels), convolution, nn.AvgPool2d(2))

    def head(self) -> nn.Module:
        """Build what turns the last stage's output into logits."""
        layers, channels = self.layers, self.plan.out_channels
        if self.architecture.layout == "vgg":
            return self._vgg_head(channels)
        parts = layers.normed_activation(channels) if layers.preactivation else []
        if not layers.flat:
            parts.append(GlobalAverage())
        if layers.fixup:
            parts.append(Bias())
        return nn.Sequential(*parts, Linear(channels, self.classes))

    def _after_stem(self) -> list[nn.Module]:
        layers, channels = self.layers, self.plan.stem_channels
        if layers.fixup:
            return [Bias(), layers.activation(overwrite=True)]
        dense = BLOCKS[self.architecture.block].join == "concatenate"
        # a dense network for imagenet has norm and activation before its pooling, though pre-activated
        if layers.preactivation and not (dense and self.architecture.layout == "imagenet"):
            return []
        return [*layers.norm(channels), layers.activation(overwrite=True)]

    def _vgg_head(self, channels: int) -> nn.Module:
        height, width = (size // 2**5 for size in self.input_shape[1:])
        parts: list[nn.Module] = [nn.Flatten()]
        for units in (channels * height * width, _HIDDEN_UNITS):
            parts += [Linear(units, _HIDDEN_UNITS), self.layers.activation(overwrite=True), nn.Dropout(0.5)]
        return nn.Sequential(*parts, Linear(_HIDDEN_UNITS, self.classes))


def _check_input(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> None:
    if classes < 1:
        raise ArchitectureError("must be at least 1", path="classes", got=classes)
    layout = architecture.layout
    vector_fits = layout == "mlp" and len(input_shape) == 1
    if not (vector_fits or len(input_shape) == 3) or min(input_shape) < 1:
        flat = "(features,) or " if layout == "mlp" else ""
        rule = f"must be {flat}(channels, height, width) in layout {layout}"
        fix = "" if layout == "mlp" else "Choose layout: mlp for vectors."
        raise ArchitectureError(rule, path="input_shape", got=tuple(input_shape), fix=fix)
    needed = _smallest_side(architecture)
    if min(input_shape[1:], default=needed) < needed:
        height, width = input_shape[1:]
        raise ArchitectureError(
            f"must be at least {needed}x{needed} pixels for the poolings of this layout",
            path="input_shape",
            got=f"{height}x{width}",
            fix="Choose larger images or another layout.",
        )


def _smallest_side(architecture: Architecture) -> int:
    """Side of the smallest image that is left with a pixel after the poolings that round down."""
    if architecture.layout == "vgg":
        return 2**5
    if BLOCKS[architecture.block].join != "concatenate" or architecture.layout == "mlp":
        return 1
    # two halvings after the cifar stem; three after the imagenet stem, which rounds a quarter up
    return 4 if architecture.layout == "cifar" else 4 * (8 - 1) + 1


def _say_kinds(part: nn.Module) -> str:
    kinds = Counter(type(module).__name__ for module in part.children())
    return ", ".join(f"{count} × {kind}" for kind, count in kinds.items())


def _count_parameters(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())
