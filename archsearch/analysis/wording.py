"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.journal import StudyHistory


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


def taken_over(history: StudyHistory) -> str:
    """``12 of 30 results are taken over from study depth.``; empty where none is."""
    lent = history.taken_over
    if not lent:
        return ""
    ended = sum(
        replicate.outcome is not None
        for trial in history.trials.values()
        for replicate in trial.replicates.values()
    )
    count, one = sum(lent.values()), sum(lent.values()) == 1
    return (
        f"{count} of {ended} results {'is' if one else 'are'} taken over from "
        f"{'study' if len(lent) == 1 else 'studies'} {listed(sorted(lent))}, and not trained again."
    )
