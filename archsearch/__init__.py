"""How deep should my network be, and which skip connection lets it be that deep?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.application.loading import build, load

__all__ = ["build", "load"]


def __getattr__(name: str) -> Any:
    # Importing archsearch must stay cheap: torch is imported when a network is asked for.
    if name in __all__:
        from archsearch.application import loading

        return getattr(loading, name)
    raise AttributeError(f"module 'archsearch' has no attribute {name!r}")
