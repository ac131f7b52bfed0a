"""The colour of a run in MLflow's charts: the family by hue, the depth by darkness."""

from __future__ import annotations

import math

# Okabe and Ito's, told apart by colour-blind people too; the same as in the report.
_FAMILIES = {
    "plain": (213, 94, 0),
    "residual": (0, 114, 178),
    "dense": (0, 158, 115),
    "highway": (204, 121, 167),
    "grouped": (230, 159, 0),
}
_OTHER = (110, 110, 110)
# Half white at the shallow end, a quarter black at the deep one, by the logarithm of the depth between.
_SHALLOW, _DEEP = 6, 128
_WHITEST, _BLACKEST = 0.5, 0.25


def run_colour(block: str, depth: int) -> str:
    """Return the colour of a network as ``#rrggbb``."""
    place = math.log(max(depth, 1) / _SHALLOW) / math.log(_DEEP / _SHALLOW)
    shade = _WHITEST - (_WHITEST + _BLACKEST) * min(1.0, max(0.0, place))
    towards, share = (255, shade) if shade > 0 else (0, -shade)
    parts = (round(part + (towards - part) * share) for part in _FAMILIES.get(block, _OTHER))
    return "#" + "".join(f"{part:02x}" for part in parts)
