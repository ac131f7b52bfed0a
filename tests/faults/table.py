"""The table of what became of every fault."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from datetime import datetime

from archsearch.execution.machine import count_cores
from tests.faults.fault import Fault, Finding

_HEAD = """# Faults

Each fault is provoked for real: signals, mounts, servers and clocks, nothing is imitated. *Lost* is what
differs from the same study undisturbed: trial numbers, every metric of every epoch and the test errors, to
the last bit, but for what is measured with a clock; where MLflow takes part, also what differs from the
journal written into an empty store at once, runs that stand twice or are still RUNNING; and processes,
locks or halves of files that are left.

*How often* says what it counts: seldom studies, for one study may meet its fault again and again. Recovery is
measured as often as it can be told, which may be less: some kills come before work has gone on, and some
faults are lifted once for many provocations, as *counted to* then says.

Produced by `make faults`; {machine}.

"""
_COLUMNS = ("fault", "how it is provoked", "how often", "lost", "recovery, median", "longest", "counted to")


def draw_table(found: Sequence[tuple[Fault, Finding | str]]) -> str:
    """Return the page in Markdown; a fault that could not be provoked here says why."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_row(fault, finding) for fault, finding in found)]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    cores = count_cores()
    machine = (
        f"{datetime.now().astimezone():%Y-%m-%d}, {cores} cores, {platform.system()} {platform.machine()}"
    )
    return _HEAD.format(machine=f"{machine}, Python {platform.python_version()}") + "\n".join(lines) + "\n"


def _row(fault: Fault, finding: Finding | str) -> tuple[str, ...]:
    if isinstance(finding, str):
        return (fault.name, fault.provoked, "0", f"not provoked: {finding}", "", "", fault.recovered)
    lost = "; ".join(finding.lost) if finding.lost else "nothing"
    if finding.note:
        lost += f" ({finding.note})"
    times = finding.recoveries_s
    median, longest = (f"{statistics.median(times):.2f} s", f"{max(times):.2f} s") if times else ("", "")
    return (
        fault.name,
        fault.provoked,
        f"{finding.times} {fault.counted}",
        lost,
        median,
        longest,
        fault.recovered,
    )
