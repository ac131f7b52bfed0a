"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float) -> str:
    """``4.2 %``; two digits behind the point below one percent."""
    return f"{100 * share:.2f} %" if abs(share) < 0.01 else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two percentages: ``4.2 points``."""
    value = f"{100 * abs(difference):.2f}" if abs(difference) < 0.01 else f"{100 * abs(difference):.1f}"
    value = value.rstrip("0").rstrip(".") if "." in value else value
    return f"{value} point" if value == "1" else f"{value} points"


def p_value(p: float) -> str:
    """``p = 0.013``, ``p < 0.0001``."""
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def listed(items: Sequence[object]) -> str:
    """``8, 20 and 56``."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
