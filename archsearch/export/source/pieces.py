"""The layers of one network as Python text, the way `archsearch.models.layers` makes them as modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archsearch.architecture import Architecture

LINE = 88
"""Longest line, that of ruff and black by default."""

Size = int | str
"""Channels or units: a number, or the name that stands for it in the text."""

_MODULES = {"relu": "nn.ReLU()", "gelu": "nn.GELU()", "silu": "nn.SiLU()", "tanh": "nn.Tanh()"}
_FUNCTIONS = {"relu": "F.relu", "gelu": "F.gelu", "silu": "F.silu", "tanh": "torch.tanh"}


@dataclass(frozen=True)
class Pieces:
    """Writes the layers of one architecture, which is in its normal form."""

    architecture: Architecture

    @property
    def flat(self) -> bool:
        """Whether layers are fully connected."""
        return self.architecture.layout == "mlp"

    @property
    def preactivation(self) -> bool:
        """Whether norm and activation come before a weighted layer."""
        return bool(self.architecture.preactivation)

    @property
    def fixup(self) -> bool:
        """Whether scalar biases and factors take the place of norms."""
        return self.architecture.initialization == "fixup"

    @property
    def groups_norms(self) -> bool:
        """Whether norms are group norms, whose groups are computed from the channels."""
        return self.architecture.norm == "group"

    @property
    def activation(self) -> str:
        """The activation as a module."""
        return _MODULES[self.architecture.activation]

    def activate(self, value: str) -> str:
        """Write the activation of a value."""
        return f"{_FUNCTIONS[self.architecture.activation]}({value})"

    def weighted(
        self, inputs: Size, outputs: Size, kernel: int = 1, *, stride: Size = 1, groups: int = 1
    ) -> str:
        """Write a convolution that keeps the resolution up to its stride; in an mlp a linear layer."""
        if self.flat:
            return f"nn.Linear({inputs}, {outputs})"
        words = [str(inputs), str(outputs), str(kernel)]
        words += [] if stride == 1 else [str(stride)]
        words += [f"padding={kernel // 2}"] if kernel > 1 else []
        words += [f"groups={groups}"] if groups > 1 else []
        words += [] if self.architecture.layout == "vgg" else ["bias=False"]
        return f"nn.Conv2d({', '.join(words)})"

    def gate(self, inputs: Size, outputs: Size, *, stride: Size = 1) -> str:
        """Write the layer of a gate."""
        if self.flat:
            return f"nn.Linear({inputs}, {outputs})"
        return f"nn.Conv2d({inputs}, {outputs}, 1{'' if stride == 1 else f', {stride}'})"

    def norm(self, channels: Size) -> list[str]:
        """Write the norm, as a list that is empty where there is none."""
        dimensions = 1 if self.flat else 2
        written = {
            "batch": f"nn.BatchNorm{dimensions}d({channels})",
            "group": f"group_norm({channels})",
            "layer": f"nn.LayerNorm({channels})" if self.flat else f"nn.GroupNorm(1, {channels})",
        }
        name = self.architecture.norm
        return [written[name]] if name in written else []

    def normed_activation(self, channels: Size) -> list[str]:
        """Write norm and activation, as they precede a weighted layer under pre-activation."""
        return [*self.norm(channels), self.activation]

    def entry(self, channels: Size) -> list[str]:
        """Write what a block's input passes before its branch."""
        if self.fixup:
            return ["Bias()"]
        return self.normed_activation(channels) if self.preactivation else []

    def arrange(self, *weighted: tuple[str, Size]) -> list[str]:
        """Put norms and activations between weighted layers, each given with the channels it gives out."""
        arranged: list[str] = []
        for layer, channels in weighted[:-1]:
            between = (
                ["Bias()", self.activation, "Bias()"] if self.fixup else self.normed_activation(channels)
            )
            arranged += [layer, *between]
        layer, channels = weighted[-1]
        arranged.append(layer)
        if self.fixup:
            arranged += ["Scale()", "Bias()"]
        elif not self.preactivation:
            arranged += self.norm(channels)
        return arranged


def indent(lines: Iterable[str], by: int = 4) -> list[str]:
    """Move lines to the right; empty ones stay empty."""
    return [" " * by + line if line else "" for line in lines]


def sequential(target: str, layers: Sequence[str], *, after: str = "") -> list[str]:
    """Write ``target nn.Sequential(…)`` with a layer a line: ``self.stem =``."""
    return [f"{target} nn.Sequential(", *indent(_one_a_line(layers)), f"){after}"]


def signature(name: str, arguments: str, returned: str, *, room: int = LINE) -> list[str]:
    """Write the first lines of a function, one where there is room for it."""
    line = f"def {name}({arguments}) -> {returned}:"
    if len(line) <= room:
        return [line]
    return [f"def {name}(", f"    {arguments}", f") -> {returned}:"]


def literal_tuple(name: str, values: Sequence[str]) -> list[str]:
    """Write ``NAME = (…)``, in one line where it fits."""
    line = f"{name} = ({', '.join(values)}{',' if len(values) == 1 else ''})"
    if len(line) <= LINE:
        return [line]
    return [f"{name} = (", *indent(f"{value}," for value in values), ")"]


def string(text: str) -> str:
    """Write a string the way formatters do: in double quotes, where that takes no more escapes."""
    written = repr(text)
    if written.startswith('"') or text.count('"') > text.count("'"):
        return written
    return '"' + written[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def _one_a_line(layers: Sequence[str]) -> list[str]:
    return [line for layer in layers for line in (layer.splitlines() if "\n" in layer else [f"{layer},"])]
