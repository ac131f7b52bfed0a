"""The block of one network as the text of a class."""

from __future__ import annotations

from collections.abc import Mapping

from archsearch.architecture import BLOCKS, NetworkPlan
from archsearch.export.source.pieces import LINE, Pieces, indent, sequential, signature

_CARRIED = {
    "pad": "The input, subsampled and with zeros as further channels where needed.",
    "scaled": "Half the input, padded where the branch needs it.",
    "gate": "What a gate lets pass of the input, padded where the branch needs it.",
    "dropout": "The input, padded where the branch needs it; half is dropped in training.",
}
_ROLES: Mapping[str, str] = {
    "none": "a branch of layers and nothing beside it",
    "add": "what goes past the branch is added to it",
    "gate": "a gate mixes the branch with what goes past it",
    "concatenate": "what the branch finds is put behind its input",
}


class BlockText:
    """Writes the class ``Block``; all blocks of a network differ in their dimensions alone.

    Args:
        pieces: Of the network.
        plan: Of the network.
    """

    def __init__(self, pieces: Pieces, plan: NetworkPlan) -> None:
        self.pieces = pieces
        self.architecture = pieces.architecture
        self.join = BLOCKS[self.architecture.block].join
        self.dense = self.join == "concatenate"
        self.strides = any(block.stride > 1 for block in plan.blocks)
        self.changes = any(block.changes_dimensions for block in plan.blocks)
        self._first = plan.blocks[0]

    @property
    def parameters(self) -> list[str]:
        """Names of the dimensions that a block is made with; stride is the last."""
        if self.dense:
            return ["in_channels"]
        if self.pieces.flat:
            return ["units"]
        inner = ["channels"] if self.architecture.bottleneck else []
        return ["in_channels", *inner, "out_channels", *(["stride"] if self.strides else [])]

    def write(self) -> list[str]:
        """Write the class."""
        arguments = ", ".join(f"{name}: int" for name in self.parameters)
        return [
            "class Block(nn.Module):",
            f'    """One block: {_ROLES[self.join]}."""',
            "",
            *indent(signature("__init__", f"self, {arguments}", "None", room=LINE - 4)),
            "        super().__init__()",
            *indent(self._initialise(), 8),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *indent(self._forward(), 8),
            *([""] if self._pads else []),
            *indent(self._carry() if self._pads else []),
        ]

    @property
    def _in(self) -> str:
        return "units" if self.pieces.flat and not self.dense else "in_channels"

    @property
    def _out(self) -> str:
        if self.dense:
            return str(self._first.out_channels)
        return "units" if self.pieces.flat else "out_channels"

    @property
    def _stride(self) -> str | int:
        return "stride" if self.strides else 1

    @property
    def _enters(self) -> bool:
        return self.pieces.preactivation or self.pieces.fixup

    @property
    def _shortcut(self) -> str:
        return self.architecture.shortcut or ""

    @property
    def _adapts(self) -> bool:
        """Whether zeros are added to what goes past some branch."""
        return self.changes and self._shortcut in _CARRIED

    @property
    def _pads(self) -> bool:
        """Whether there is a method that works out what goes past the branch."""
        return self._adapts or self._shortcut in ("scaled", "gate", "dropout")

    def _layers(self) -> list[str]:
        pieces, form = self.pieces, self._form()
        inner = str(self._first.inner_channels) if self.dense else "channels"
        if form == "linear":
            return pieces.arrange((pieces.weighted(self._in, self._out), self._out))
        if form == "basic" and not self.dense:
            return pieces.arrange(
                (pieces.weighted(self._in, self._out, 3, stride=self._stride), self._out),
                (pieces.weighted(self._out, self._out, 3), self._out),
            )
        if form != "bottleneck":
            return pieces.arrange((pieces.weighted(self._in, self._out, 3), self._out))
        if self.dense:
            return pieces.arrange(
                (pieces.weighted(self._in, inner), inner), (pieces.weighted(inner, self._out, 3), self._out)
            )
        early = self.architecture.stride_in == "1x1"
        first, second = (self._stride, 1) if early else (1, self._stride)
        return pieces.arrange(
            (pieces.weighted(self._in, inner, stride=first), inner),
            (pieces.weighted(inner, inner, 3, stride=second, groups=self._first.groups), inner),
            (pieces.weighted(inner, self._out), self._out),
        )

    def _form(self) -> str:
        return BLOCKS[self.architecture.block].form_name(
            self.architecture.layout, self.architecture.bottleneck
        )

    @property
    def _open(self) -> bool:
        """Whether the branch has its activation before the join (highway in an mlp)."""
        return self.pieces.flat and self.join == "gate" and not self.pieces.preactivation

    def _initialise(self) -> list[str]:
        pieces, lines = self.pieces, list[str]()
        if self._enters:
            lines += sequential("self.entry =", pieces.entry(self._in))
        layers = [*self._layers(), *([pieces.activation] if self._open else [])]
        lines += sequential("self.branch =", layers)
        if self._adapts:
            lines += ["self.stride = stride"] if self.strides else []
            lines += ["self.added_channels = out_channels - in_channels"]
        if self._shortcut in ("projection", "projection_all", "conv"):
            lines += self._projection()
        if self.join == "gate" or self._shortcut == "gate":
            lines.append(f"self.gate = {pieces.gate(self._in, self._out, stride=self._stride)}")
        return lines

    def _projection(self) -> list[str]:
        pieces = self.pieces
        norm = [] if self._shortcut == "conv" or pieces.preactivation else pieces.norm(self._out)
        made = sequential(
            "self.shortcut =", [pieces.weighted(self._in, self._out, stride=self._stride), *norm]
        )
        if self._shortcut != "projection":
            return made
        test = "in_channels != out_channels"
        test = f"stride > 1 or {test}" if self.strides else test
        return ["self.shortcut = None", f"if {test}:", *indent(made)]

    def _carried(self) -> str:
        entered = "entered" if self._enters else "x"
        if self._shortcut == "projection":
            return f"x if self.shortcut is None else self.shortcut({entered})"
        if self._shortcut in ("projection_all", "conv"):
            return f"self.shortcut({entered})"
        return "self.carry(x)" if self._pads else "x"

    def _forward(self) -> list[str]:
        lines, entered = list[str](), "x"
        if self._enters:
            lines, entered = ["entered = self.entry(x)"], "entered"
        branch = f"self.branch({entered})"
        if self.dense:
            return [*lines, f"return torch.cat([x, {branch}], 1)"]
        if self.join == "none":
            return [*lines, f"return {self._leave(branch)}"]
        lines.append(f"carried = {self._carried()}")
        if self.join == "gate":
            lines.append("opening = torch.sigmoid(self.gate(x))")
            return [*lines, f"return {self._leave(f'carried + opening * ({branch} - carried)')}"]
        factor = "0.5 * " if self._shortcut == "scaled" else ""
        return [*lines, f"return {self._leave(f'carried + {factor}{branch}')}"]

    def _leave(self, joined: str) -> str:
        return joined if self.pieces.preactivation or self._open else self.pieces.activate(joined)

    def _carry(self) -> list[str]:
        lines = ["def carry(self, x: Tensor) -> Tensor:", f'    """{_CARRIED[self._shortcut]}"""']
        adapted = "x"
        if self._shortcut == "gate":
            lines.append("    opening = 1 - torch.sigmoid(self.gate(x))")
        if self._adapts:
            lines += ["    x = x[:, :, :: self.stride, :: self.stride]"] if self.strides else []
            adapted = "F.pad(x, (0, 0, 0, 0, 0, self.added_channels))"
        written = {
            "scaled": f"0.5 * {adapted}",
            "gate": f"opening * {adapted}",
            "dropout": "F.dropout(x, 0.5, self.training)",
        }
        if self._shortcut == "dropout" and self._adapts:
            lines.append(f"    x = {adapted}")
        return [*lines, f"    return {written.get(self._shortcut, adapted)}"]
