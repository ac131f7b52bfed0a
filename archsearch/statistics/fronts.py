"""Which of several are worth having: Pareto fronts, and the cheapest that is as good as the best."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_indices(losses: Sequence[Sequence[float]]) -> list[int]:
    """Positions of those that no other one beats in one loss without losing in another; equals stay."""
    known = [tuple(own) for own in losses]
    return [
        position for position, own in enumerate(known) if not any(_dominates(other, own) for other in known)
    ]


def within_one_standard_error(means: Sequence[float], standard_errors: Sequence[float]) -> list[int]:
    """Positions of those whose loss is at most the best one's plus its standard error.

    The rule of Breiman et al. (1984, section 3.4.3): of these the simplest is taken.
    """
    best = min(range(len(means)), key=lambda position: (means[position], standard_errors[position]))
    limit = means[best] + standard_errors[best]
    return [position for position, mean in enumerate(means) if mean <= limit]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
