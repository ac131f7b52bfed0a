"""Names of weights in an exported file: those of the modules, without what only holds our parts together.

``stages.0.1.join.shortcut.layers.0.weight`` becomes ``stages.0.1.shortcut.0.weight``, so that the source of
a single network can be written as a person would, and its weights fit as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from archsearch.architecture import Architecture

_BLOCK = re.compile(r"^(stages\.\d+\.\d+\.)(.*)$")
_SHORTER = (
    (re.compile(r"^join\.shortcut\.layers\."), "shortcut."),
    (re.compile(r"^join\.shortcut\.gate\.layer\."), "gate."),
    (re.compile(r"^join\.gate\.layer\."), "gate."),
    (re.compile(r"^join\."), ""),
)


def plain_names(names: Iterable[str], architecture: Architecture) -> dict[str, str]:
    """Return the exported name of each weight of a network."""
    plain = {name: _shorten(name, in_drop_path=bool(architecture.drop_path)) for name in names}
    # a plugin's join could have two that are shortened to one
    return plain if len(set(plain.values())) == len(plain) else {name: name for name in plain}


def to_plain(weights: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Give weights their exported names."""
    plain = plain_names(weights, architecture)
    return {plain[name]: tensor for name, tensor in weights.items()}


def _shorten(name: str, *, in_drop_path: bool) -> str:
    match = _BLOCK.match(name)
    if match is None:
        return name
    place, rest = match.groups()
    if in_drop_path and rest.startswith("branch.0."):
        # stochastic depth is a layer behind the branch, and has no weights
        rest = "branch." + rest.removeprefix("branch.0.")
    for pattern, short in _SHORTER:
        if pattern.match(rest):
            return place + pattern.sub(short, rest)
    return name if rest == match.group(2) else place + rest
