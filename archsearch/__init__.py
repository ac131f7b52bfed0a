"""How deep should my network be, and which skip connection lets it be that deep?"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.application.loading import build, load
    from archsearch.application.notebook import Study

__all__ = ["Study", "build", "load"]

_HOMES = {"Study": "notebook", "build": "loading", "load": "loading"}


def __getattr__(name: str) -> Any:
    # Importing archsearch must stay cheap: torch is imported when a network is asked for.
    if name in _HOMES:
        return getattr(importlib.import_module(f"archsearch.application.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'archsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
