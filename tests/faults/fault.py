"""What a fault is, and what was found when it was provoked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.workshop import Workshop


@dataclass(frozen=True)
class Finding:
    """What came of provoking a fault.

    Attributes:
        times: How much was provoked, in the fault's own unit (`Fault.counted`).
        lost: What differs from an undisturbed study, a sentence each; empty where nothing was lost.
        recoveries_s: Of each time that can be measured, how long it took until work went on.
        note: What else was measured.
    """

    times: int
    lost: tuple[str, ...]
    recoveries_s: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True)
class Fault:
    """One way in which the world fails.

    Attributes:
        provoked: How, in words.
        recovered: What the recovery time is counted to.
        provoke: Does it so many times, in an empty folder.
        full: How often for the table.
        counted: What is counted: kills, trainings, answers, ... One study may meet many of them.
        missing: Says what this machine lacks for it; empty where nothing.
    """

    name: str
    provoked: str
    recovered: str
    provoke: Callable[[Workshop, Path, int], Finding]
    full: int = 10
    missing: Callable[[], str] = lambda: ""
    counted: str = field(kw_only=True)
